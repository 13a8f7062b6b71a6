#include "globals.h"

#include <algorithm>

#include "pickle_pieces.h"
#include "unpickler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace craftbundle {
namespace {

using namespace std::string_literals;
using namespace testing::pickles;
using Verdict = GlobalReference::Verdict;

std::string word(Verdict verdict) {
  return verdict == Verdict::known ? "known" : verdict == Verdict::unknown ? "unknown" : "unsafe";
}

// Of "module name".
std::string judge(std::string_view text) {
  const std::size_t space = text.find(' ');
  return word(judge_global(text.substr(0, space), text.substr(space + 1)));
}

TEST(JudgeGlobalTest, Unsafe) {
  for (const std::string_view name : {"os system",
                                      "os mkdir",
                                      "posix system",
                                      "nt system",
                                      "subprocess Popen",
                                      "subprocess call",
                                      "sys exit",
                                      "builtins eval",
                                      "builtins exec",
                                      "builtins compile",
                                      "builtins open",
                                      "builtins __import__",
                                      "builtins getattr",
                                      "builtins setattr",
                                      "builtins print",
                                      "__builtin__ eval",
                                      "__builtin__ execfile",
                                      "__builtin__ apply",
                                      "commands getoutput",
                                      "cPickle loads",
                                      "pickle loads",
                                      "_pickle loads",
                                      "urllib urlretrieve",
                                      "urllib2 urlopen",
                                      "marshal loads",
                                      "ctypes CDLL",
                                      "runpy run_path",
                                      "pty spawn",
                                      "code InteractiveInterpreter",
                                      "codeop compile_command",
                                      "importlib import_module",
                                      "pydoc locate",
                                      "profile run",
                                      "cProfile run",
                                      "pdb run",
                                      "bdb Bdb",
                                      "timeit timeit",
                                      "trace Trace",
                                      "doctest debug_script",
                                      "webbrowser open",
                                      "http.client HTTPSConnection",
                                      "ftplib FTP",
                                      "imaplib IMAP4_stream",
                                      "smtplib SMTP",
                                      "poplib POP3",
                                      "telnetlib Telnet",
                                      "socket create_connection",
                                      "asyncio create_subprocess_shell",
                                      "asyncio.unix_events _UnixSubprocessTransport._start",
                                      "multiprocessing Process",
                                      "multiprocessing.util spawnv_passfds",
                                      "signal raise_signal",
                                      "shutil rmtree",
                                      "tempfile mktemp",
                                      "io open",
                                      "_io FileIO",
                                      "_osx_support _read_output",
                                      "_aix_support _read_cmd_output",
                                      "_pyrepl.pager pipe_pager",
                                      "copyreg add_extension",
                                      "types FunctionType",
                                      "types CodeType",
                                      "operator methodcaller",
                                      "operator attrgetter",
                                      "_operator attrgetter",
                                      "atexit register",
                                      "logging FileHandler",
                                      "logging.config fileConfig",
                                      "zipfile ZipFile",
                                      "tarfile open",
                                      "sqlite3 connect",
                                      "sqlite3.dbapi2 connect",
                                      "mmap mmap",
                                      "threading Thread",
                                      "_thread start_new_thread",
                                      "concurrent.futures ThreadPoolExecutor",
                                      "distutils.file_util write_file",
                                      "setuptools setup",
                                      "pip main",
                                      "ensurepip _run_pip",
                                      "lib2to3.pgen2.pgen ParserGenerator.make_label",
                                      "idlelib.pyshell ModifiedInterpreter.runcommand",
                                      "venv create",
                                      "unittest.mock _importer",
                                      "test.support.script_helper assert_python_ok",
                                      "torch load",
                                      "torch save",
                                      "torch.serialization load",
                                      "torch.hub load",
                                      "torch.jit load",
                                      "torch.jit.unsupported_tensor_ops execWrapper",
                                      "torch.package PackageImporter",
                                      "torch.storage _load_from_bytes",
                                      "torch.utils.collect_env run",
                                      "torch.utils.cpp_extension load",
                                      "torch._inductor.codecache compile_file",
                                      "torch._dynamo.guards GuardBuilder.get",
                                      "torch.fx.experimental.symbolic_shapes ShapeEnv",
                                      "torch.distributed.rpc rpc_sync",
                                      "torch.utils.data.datapipes.utils.decoder basichandlers",
                                      "torch.utils.bottleneck.__main__ run_autograd_prof",
                                      "torch._C _jit_set_fusion_strategy",
                                      "numpy load",
                                      "numpy memmap",
                                      "numpy savetxt",
                                      "numpy.lib.npyio load",
                                      "numpy.f2py compile",
                                      "numpy.f2py.crackfortran getlincoef",
                                      "numpy.testing._private.utils runstring",
                                      "numpy.distutils.exec_command exec_command",
                                      "omegaconf OmegaConf",
                                      "omegaconf OmegaConf.register_new_resolver",
                                      "omegaconf.omegaconf OmegaConf.load",
                                      "yaml load",
                                      "yaml unsafe_load",
                                      "yaml full_load",
                                      "joblib load",
                                      "dill loads",
                                      "cloudpickle loads",
                                      "pandas read_pickle",
                                      "hydra.utils call",
                                      "hydra.utils instantiate",
                                      "pathlib Path.touch",
                                      "pathlib Path.write_text",
                                      "collections _sys.modules.get",
                                      "torch.serialization os.system",
                                      "torch.storage io.open",
                                      "torch.serialization os",
                                      "some.module os",
                                      "some.module Class.method",
                                      "some.module Class.__init__.__globals__",
                                      "some.module __builtins__",
                                      "torch.nn.modules.module Module.Popen"}) {
    EXPECT_EQ(judge(name), "unsafe") << name;
  }
  EXPECT_EQ(word(judge_global("", "<dynamic>")), "unsafe");
  EXPECT_EQ(word(judge_global("", "<ext:7>")), "unsafe");
}

TEST(JudgeGlobalTest, Known) {
  for (const std::string_view name : {"__builtin__ dict",
                                      "builtins list",
                                      "__builtin__ long",
                                      "__builtin__ unicode",
                                      "__builtin__ xrange",
                                      "builtins bytearray",
                                      "builtins complex",
                                      "builtins slice",
                                      "_codecs encode",
                                      "collections OrderedDict",
                                      "collections defaultdict",
                                      "typing Any",
                                      "omegaconf.dictconfig DictConfig",
                                      "omegaconf.base ContainerMetadata",
                                      "omegaconf.nodes EnumNode",
                                      "numpy.core.multiarray scalar",
                                      "numpy._core.multiarray scalar",
                                      "numpy dtype",
                                      "numpy ndarray",
                                      "torch FloatStorage",
                                      "torch.cuda FloatStorage",
                                      "torch.storage UntypedStorage",
                                      "torch._utils _rebuild_tensor_v2",
                                      "torch Size",
                                      "torch device",
                                      "torch float32",
                                      "torch.nn.parameter Parameter",
                                      "pathlib PosixPath",
                                      "pathlib._local PosixPath",
                                      "argparse Namespace",
                                      "datetime datetime",
                                      "copy_reg _reconstructor",
                                      "uuid UUID",
                                      "decimal Decimal",
                                      "types SimpleNamespace"}) {
    EXPECT_EQ(judge(name), "known") << name;
  }
}

TEST(JudgeGlobalTest, Unknown) {
  for (const std::string_view name :
       {"audio.solvers Solver", "my.module Outer.Inner", "exceptions ValueError",
        "builtins KeyError", "torch.optim.lr_scheduler LambdaLR", "torch.nn.modules.linear Linear",
        "functools partial", "random Random", "numpy.random.mtrand RandomState", "re _compile",
        "argparse Action", "enum Enum", "builtins len", "collections.abc Foo", "osmosis system",
        "my.os2x run"}) {
    EXPECT_EQ(judge(name), "unknown") << name;
  }
}

// Verdict on `name` in the pickle of `body`.
std::string verdict_in(const std::string& body, const std::string& name) {
  const Pickle pickle = read_pickle(PickleInput(body + "."));
  for (const GlobalReference& reference : list_globals(*pickle.tree)) {
    if (reference.name == name) return word(reference.verdict);
  }
  return "missing";
}

std::string getattr_of(const std::string& owner, const std::string& name) {
  return call("__builtin__", "getattr", owner + str(name));
}

TEST(GlobalsByUseTest, EnumMembersAndNestedClasses) {
  const std::string color = global("my.types", "Color");
  EXPECT_EQ(verdict_in(getattr_of(color, "RED"), "builtins.getattr"), "known");
  EXPECT_EQ(verdict_in(getattr_of(color, "red"), "builtins.getattr"), "known");
  const std::string nested = getattr_of(global("my.types", "Outer"), "Inner");
  EXPECT_EQ(verdict_in(nested, "builtins.getattr"), "known");
  EXPECT_EQ(verdict_in(getattr_of(nested, "red"), "builtins.getattr"), "known");
  EXPECT_EQ(verdict_in(nested + "K\1\x85R", "builtins.getattr"), "known");  // Outer.Inner(1)
}

TEST(GlobalsByUseTest, OtherAttributes) {
  const auto judge_getattr = [](const std::string& body) {
    return verdict_in(body, "builtins.getattr");
  };
  EXPECT_EQ(judge_getattr(getattr_of(global("os", "path"), "Name")), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of(global("my.types", "os"), "system")), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of(global("my.types", "module"), "Name")), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of(global("pathlib", "Path"), "touch")), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of(global("my.types", "Color"), "__class__")), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of(global("my.types", "Color"), "a.b")), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of("]", "append")), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of(call("my.types", "Color", ""), "RED")), "unsafe");
  // A method that is called.
  EXPECT_EQ(judge_getattr(getattr_of(global("my.types", "Model"), "load") + ")R"), "unsafe");
  // Handed on instead of called; never used; one bad use beside good ones.
  EXPECT_EQ(judge_getattr(global("builtins", "getattr") + "\x85"), "unsafe");
  EXPECT_EQ(judge_getattr(global("builtins", "getattr") + "0N"), "unsafe");
  EXPECT_EQ(judge_getattr(getattr_of(global("my.types", "Color"), "RED") + "0" +
                          getattr_of(global("my.types", "Color"), "_x")),
            "unsafe");
}

TEST(GlobalsByUseTest, TypeHints) {
  const std::string list = global("typing", "List") + global("__builtin__", "long");
  EXPECT_EQ(verdict_in(call("_operator", "getitem", list), "_operator.getitem"), "known");
  EXPECT_EQ(verdict_in(call("_operator", "getitem", "}" + str("x")), "_operator.getitem"),
            "unsafe");
  EXPECT_EQ(verdict_in(call("_operator", "getitem", global("os", "environ") + str("x")),
                       "_operator.getitem"),
            "unsafe");
  const std::string types = "(" + global("builtins", "int") + global("builtins", "str") + "t";
  const std::string either = call("__builtin__", "reduce", global("_operator", "or_") + types);
  EXPECT_EQ(verdict_in(either, "functools.reduce"), "known");
  EXPECT_EQ(
      verdict_in(call("functools", "reduce", global("os", "system") + types), "functools.reduce"),
      "unsafe");
  EXPECT_EQ(verdict_in(call("__builtin__", "type", "N"), "builtins.type"), "known");
  EXPECT_EQ(verdict_in(call("__builtin__", "type", str("X") + ")}"), "builtins.type"), "unsafe");
}

GlobalReference find(const std::string& body, const std::string& name) {
  const Pickle pickle = read_pickle(PickleInput(body + "."));
  for (const GlobalReference& reference : list_globals(*pickle.tree)) {
    if (reference.name == name) return reference;
  }
  ADD_FAILURE() << name << " is not listed";
  return {};
}

TEST(ListGlobalsTest, SaysWhereNamesSit) {
  const std::string evil = call("os", "system", str("true"));
  EXPECT_EQ(find(evil, "os.system").where, "the object itself");
  EXPECT_EQ(find("}" + str("a") + "](K\1" + evil + "es", "os.system").where, "['a'][1]");
  EXPECT_EQ(find("}K\7" + evil + "s", "os.system").where, "[7]");
  EXPECT_EQ(find("}" + evil + "K\7s", "os.system").where, ".keys()[0]");
  EXPECT_EQ(find(call("m", "C", evil), "os.system").where, ".args[0]");
  EXPECT_EQ(find(call("m", "C", "") + "}" + str("x") + evil + "sb", "os.system").where, ".x");
  EXPECT_EQ(find(call("m", "C", "") + "}" + str("a b") + evil + "sb", "os.system").where,
            ".__dict__['a b']");
  EXPECT_EQ(find(call("m", "C", "") + evil + "a", "os.system").where, "[0]");
  EXPECT_EQ(find(call("m", "C", "") + str("k") + evil + "s", "os.system").where, "['k']");
  EXPECT_EQ(find("\x8f(" + evil + "\x90", "os.system").where, ".elements[0]");
  EXPECT_EQ(find(evil + "Q", "os.system").where, ".id");
  EXPECT_EQ(find(evil + "0N", "os.system").where, "not in the object");
  EXPECT_EQ(find(call("collections", "OrderedDict", "") + "\x85", "collections.OrderedDict").where,
            "[0]");
  EXPECT_EQ(find("}" + str("\x1b]0;") + evil + "s", "os.system").where, "['\\x1B]0;']");
}

TEST(ListGlobalsTest, TakesTheShortestPlace) {
  const std::string body = "]q\0(](]("s + global("m", "C") + "q\1eeh\1e";
  EXPECT_EQ(find(body, "m.C").where, "[1]");
}

TEST(ListGlobalsTest, CutsDeepPlaces) {
  std::string body = global("m", "C");
  for (int i = 0; i < 100000; ++i) body += "\x85";
  const std::string where = find(body, "m.C").where;
  EXPECT_THAT(where, ::testing::EndsWith("[0]..."));
  EXPECT_LT(where.size(), 200U);
}

TEST(ListGlobalsTest, ManyNamesAtTheBottomOfADeepObject) {
  std::string body = "(";
  for (int i = 0; i < 20000; ++i) body += global("m", "C" + std::to_string(i));
  body += "t";
  for (int i = 0; i < 100000; ++i) body += "\x85";
  const Pickle pickle = read_pickle(PickleInput(body + "."));
  const std::vector<GlobalReference> references = list_globals(*pickle.tree);
  ASSERT_EQ(references.size(), 20000U);
  EXPECT_EQ(references.front().where, references.back().where);
}

TEST(ListGlobalsTest, CutsLongPlaces) {
  std::string body = global("m", "C");
  for (int i = 0; i < 30; ++i) body = "}" + str(std::string(60, 'k')) + body + "s";
  const std::string where = find(body, "m.C").where;
  EXPECT_THAT(where, ::testing::EndsWith("..."));
  EXPECT_LT(where.size(), 500U);
}

TEST(ListGlobalsTest, CountsAndKeepsSpellings) {
  const std::string body = "](" + global("__builtin__", "eval") + global("builtins", "eval") + "e";
  const GlobalReference reference = find(body, "builtins.eval");
  EXPECT_EQ(reference.count, 2U);
  EXPECT_EQ(reference.written, "__builtin__.eval");
  EXPECT_EQ(find(global("os", "system"), "os.system").written, "");
}

}  // namespace
}  // namespace craftbundle
