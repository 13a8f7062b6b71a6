#include "globals.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string>

namespace craftbundle {
namespace {

using Verdict = GlobalReference::Verdict;

struct Renamed {
  NamePair python2;
  NamePair python3;
};

struct Module {
  std::string_view python2;
  std::string_view python3;
};

// Names that moved between Python 2 and 3 in another way than their module did.
constexpr std::array kRenamed = {
    Renamed{{"UserDict", "IterableUserDict"}, {"collections", "UserDict"}},
    Renamed{{"UserDict", "UserDict"}, {"collections", "UserDict"}},
    Renamed{{"UserList", "UserList"}, {"collections", "UserList"}},
    Renamed{{"UserString", "UserString"}, {"collections", "UserString"}},
    Renamed{{"__builtin__", "basestring"}, {"builtins", "str"}},
    Renamed{{"__builtin__", "intern"}, {"sys", "intern"}},
    Renamed{{"__builtin__", "long"}, {"builtins", "int"}},
    Renamed{{"__builtin__", "reduce"}, {"functools", "reduce"}},
    Renamed{{"__builtin__", "unichr"}, {"builtins", "chr"}},
    Renamed{{"__builtin__", "unicode"}, {"builtins", "str"}},
    Renamed{{"__builtin__", "xrange"}, {"builtins", "range"}},
    Renamed{{"_multiprocessing", "Connection"}, {"multiprocessing.connection", "Connection"}},
    Renamed{{"_socket", "fromfd"}, {"socket", "fromfd"}},
    Renamed{{"exceptions", "StandardError"}, {"builtins", "Exception"}},
    Renamed{{"itertools", "ifilter"}, {"builtins", "filter"}},
    Renamed{{"itertools", "ifilterfalse"}, {"itertools", "filterfalse"}},
    Renamed{{"itertools", "imap"}, {"builtins", "map"}},
    Renamed{{"itertools", "izip"}, {"builtins", "zip"}},
    Renamed{{"itertools", "izip_longest"}, {"itertools", "zip_longest"}},
    Renamed{{"multiprocessing.forking", "Popen"}, {"multiprocessing.popen_fork", "Popen"}},
    Renamed{{"multiprocessing.process", "Process"}, {"multiprocessing.context", "Process"}},
    Renamed{{"socket", "_socketobject"}, {"socket", "SocketType"}},
    Renamed{{"urllib", "getproxies"}, {"urllib.request", "getproxies"}},
    Renamed{{"urllib", "pathname2url"}, {"urllib.request", "pathname2url"}},
    Renamed{{"urllib", "quote"}, {"urllib.parse", "quote"}},
    Renamed{{"urllib", "quote_plus"}, {"urllib.parse", "quote_plus"}},
    Renamed{{"urllib", "unquote"}, {"urllib.parse", "unquote"}},
    Renamed{{"urllib", "unquote_plus"}, {"urllib.parse", "unquote_plus"}},
    Renamed{{"urllib", "url2pathname"}, {"urllib.request", "url2pathname"}},
    Renamed{{"urllib", "urlcleanup"}, {"urllib.request", "urlcleanup"}},
    Renamed{{"urllib", "urlencode"}, {"urllib.parse", "urlencode"}},
    Renamed{{"urllib", "urlopen"}, {"urllib.request", "urlopen"}},
    Renamed{{"urllib", "urlretrieve"}, {"urllib.request", "urlretrieve"}},
    Renamed{{"urllib2", "HTTPError"}, {"urllib.error", "HTTPError"}},
    Renamed{{"urllib2", "URLError"}, {"urllib.error", "URLError"}},
};

constexpr std::array kRenamedModules = {
    Module{"BaseHTTPServer", "http.server"},
    Module{"CGIHTTPServer", "http.server"},
    Module{"ConfigParser", "configparser"},
    Module{"Cookie", "http.cookies"},
    Module{"Dialog", "tkinter.dialog"},
    Module{"DocXMLRPCServer", "xmlrpc.server"},
    Module{"FileDialog", "tkinter.filedialog"},
    Module{"HTMLParser", "html.parser"},
    Module{"Queue", "queue"},
    Module{"ScrolledText", "tkinter.scrolledtext"},
    Module{"SimpleDialog", "tkinter.simpledialog"},
    Module{"SimpleHTTPServer", "http.server"},
    Module{"SimpleXMLRPCServer", "xmlrpc.server"},
    Module{"SocketServer", "socketserver"},
    Module{"StringIO", "io"},
    Module{"Tix", "tkinter.tix"},
    Module{"Tkconstants", "tkinter.constants"},
    Module{"Tkdnd", "tkinter.dnd"},
    Module{"Tkinter", "tkinter"},
    Module{"UserDict", "collections"},
    Module{"UserList", "collections"},
    Module{"UserString", "collections"},
    Module{"__builtin__", "builtins"},
    Module{"_abcoll", "collections.abc"},
    Module{"_elementtree", "xml.etree.ElementTree"},
    Module{"_winreg", "winreg"},
    Module{"anydbm", "dbm"},
    Module{"cPickle", "pickle"},
    Module{"cStringIO", "io"},
    Module{"commands", "subprocess"},
    Module{"cookielib", "http.cookiejar"},
    Module{"copy_reg", "copyreg"},
    Module{"dbhash", "dbm.bsd"},
    Module{"dbm", "dbm.ndbm"},
    Module{"dumbdbm", "dbm.dumb"},
    Module{"dummy_thread", "_dummy_thread"},
    Module{"exceptions", "builtins"},
    Module{"gdbm", "dbm.gnu"},
    Module{"htmlentitydefs", "html.entities"},
    Module{"httplib", "http.client"},
    Module{"markupbase", "_markupbase"},
    Module{"repr", "reprlib"},
    Module{"robotparser", "urllib.robotparser"},
    Module{"test.test_support", "test.support"},
    Module{"thread", "_thread"},
    Module{"tkColorChooser", "tkinter.colorchooser"},
    Module{"tkFileDialog", "tkinter.filedialog"},
    Module{"tkFont", "tkinter.font"},
    Module{"tkMessageBox", "tkinter.messagebox"},
    Module{"tkSimpleDialog", "tkinter.simpledialog"},
    Module{"ttk", "tkinter.ttk"},
    Module{"urllib2", "urllib.request"},
    Module{"urlparse", "urllib.parse"},
    Module{"whichdb", "dbm"},
    Module{"xmlrpclib", "xmlrpc.client"},
};

struct Names {
  std::string_view module;
  std::string_view names;  // separated by spaces
};

// What training checkpoints normally hold. Exact names only: each of these modules also has names
// that run code.
constexpr std::array kKnown = {
    Names{"builtins",
          "dict list tuple set frozenset int float str bool bytes bytearray complex slice range "
          "object "
          "type Ellipsis NotImplemented NoneType"},
    Names{"_codecs", "encode"},
    Names{"collections", "OrderedDict defaultdict Counter deque UserDict UserList UserString"},
    Names{"copyreg", "_reconstructor __newobj__"},
    Names{"types", "GenericAlias SimpleNamespace NoneType UnionType"},
    Names{
        "typing",
        "Any Dict List Union Optional Tuple Set FrozenSet Sequence Mapping MutableMapping Iterable "
        "Callable Literal Type Generic NamedTuple Text"},
    Names{
        "collections.abc",
        "Sequence Mapping MutableMapping MutableSequence Iterable Iterator Callable Set Hashable"},
    Names{"_operator", "or_ getitem"},
    Names{"functools", "reduce"},
    Names{"_functools", "reduce"},
    Names{"datetime", "datetime date time timedelta timezone"},
    Names{"decimal", "Decimal"},
    Names{"fractions", "Fraction"},
    Names{"uuid", "UUID SafeUUID"},
    Names{"zoneinfo", "ZoneInfo ZoneInfo._unpickle"},
    Names{"argparse", "Namespace"},
    Names{"pathlib", "Path PurePath PosixPath WindowsPath PurePosixPath PureWindowsPath"},
    Names{"pathlib._local", "Path PurePath PosixPath WindowsPath PurePosixPath PureWindowsPath"},
    Names{"omegaconf.dictconfig", "DictConfig"},
    Names{"omegaconf.listconfig", "ListConfig"},
    Names{"omegaconf.base", "ContainerMetadata Metadata UnionNode SCMode"},
    Names{"omegaconf.nodes",
          "AnyNode StringNode IntegerNode FloatNode BooleanNode BytesNode PathNode EnumNode"},
    Names{"numpy",
          "dtype ndarray bool_ float16 float32 float64 int8 int16 int32 int64 uint8 uint16 "
          "uint32 uint64"},
    Names{"numpy.core.multiarray", "scalar _reconstruct"},
    Names{"numpy._core.multiarray", "scalar _reconstruct"},
    Names{"numpy.random._pickle", "__randomstate_ctor __generator_ctor __bit_generator_ctor"},
    Names{"torch._utils",
          "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
          "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor "
          "_rebuild_sparse_csr_tensor _rebuild_meta_tensor_no_storage _rebuild_nested_tensor "
          "_rebuild_wrapper_subclass _rebuild_device_tensor_from_numpy "
          "_rebuild_device_tensor_from_cpu_tensor _rebuild_xla_tensor"},
    Names{"torch._tensor", "_rebuild_from_type_v2 Tensor"},
    Names{"torch.tensor", "_rebuild_from_type_v2"},
    Names{"torch.nn.parameter", "Parameter Buffer UninitializedParameter"},
    Names{"torch.serialization", "_get_layout"},
    Names{"torch.storage", "TypedStorage UntypedStorage _TypedStorage _UntypedStorage"},
    Names{
        "torch",
        "Size Tensor device dtype "
        "DoubleStorage FloatStorage HalfStorage LongStorage IntStorage ShortStorage CharStorage "
        "ByteStorage BoolStorage BFloat16Storage ComplexDoubleStorage ComplexFloatStorage "
        "QInt8Storage QInt32Storage QUInt8Storage QUInt4x2Storage QUInt2x4Storage "
        "DoubleTensor FloatTensor HalfTensor LongTensor IntTensor ShortTensor CharTensor "
        "ByteTensor "
        "BoolTensor BFloat16Tensor "
        "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex128 complex64 "
        "complex32 uint16 uint32 uint64 float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz "
        "float8_e8m0fnu float4_e2m1fn_x2 qint8 qint32 quint8 quint4x2 quint2x4 "
        "bits8 bits16 bits1x8 bits2x4 bits4x2 "
        "per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric "
        "per_channel_affine_float_qparams strided preserve_format contiguous_format"},
    Names{"torch.cuda",
          "DoubleStorage FloatStorage HalfStorage LongStorage IntStorage ShortStorage CharStorage "
          "ByteStorage BoolStorage BFloat16Storage ComplexDoubleStorage ComplexFloatStorage "
          "FloatTensor HalfTensor DoubleTensor LongTensor"},
    Names{"torch._C._nn", "gelu silu elu leaky_relu hardtanh softplus"},
    Names{"torch.distributed._shard.sharded_tensor.api", "ShardedTensor"},
    Names{"torch.distributed._shard.sharded_tensor.shard", "Shard"},
    Names{"torch.distributed._shard.sharded_tensor.metadata",
          "ShardedTensorMetadata TensorProperties MEM_FORMAT_ENCODING"},
    Names{"torch.distributed._shard.metadata", "ShardMetadata"},
    Names{"torch.distributed._shard.sharding_spec.chunk_sharding_spec", "ChunkShardingSpec"},
    Names{"torch.distributed.remote_device", "_remote_device"},
    Names{"torch.distributed.tensor", "DTensor Shard Replicate Partial"},
    Names{"torch.distributed.tensor._dtensor_spec", "DTensorSpec TensorMeta"},
    Names{"torch.distributed.tensor.placement_types", "Shard Replicate Partial"},
    Names{"torch.distributed.device_mesh", "DeviceMesh"},
    Names{"torch.optim.adam", "Adam"},
    Names{"torch.optim.adamw", "AdamW"},
    Names{"torch.optim.sgd", "SGD"},
};

// Modules that run code, start programs, write files, open connections or hand out objects that do,
// each with everything below it. Some of their names are harmless, but no checkpoint has a reason
// to hold any of them.
constexpr auto kUnsafeModules = std::to_array<std::string_view>({
    // Python.
    "_aix_support",
    "_ast",
    "_asyncio",
    "_bootlocale",
    "_bootsubprocess",
    "_crypt",
    "_ctypes",
    "_ctypes_test",
    "_curses",
    "_dbm",
    "_dummy_thread",
    "_frozen_importlib",
    "_frozen_importlib_external",
    "_gdbm",
    "_imp",
    "_interpreters",
    "_io",
    "_lsprof",
    "_msi",
    "_multiprocessing",
    "_osx_support",
    "_overlapped",
    "_pickle",
    "_posixshmem",
    "_posixsubprocess",
    "_pyio",
    "_pyrepl",
    "_scproxy",
    "_signal",
    "_sitebuiltins",
    "_socket",
    "_sqlite3",
    "_ssl",
    "_symtable",
    "_testcapi",
    "_testinternalcapi",
    "_thread",
    "_tkinter",
    "_winapi",
    "_xxinterpchannels",
    "_xxsubinterpreters",
    "aifc",
    "antigravity",
    "ast",
    "asynchat",
    "asyncio",
    "asyncore",
    "atexit",
    "bdb",
    "bz2",
    "cProfile",
    "cgi",
    "cgitb",
    "cmd",
    "code",
    "codeop",
    "compileall",
    "compression",
    "concurrent",
    "configparser",
    "crypt",
    "ctypes",
    "curses",
    "dbm",
    "dis",
    "distutils",
    "doctest",
    "dummy_threading",
    "email",
    "ensurepip",
    "faulthandler",
    "fcntl",
    "filecmp",
    "fileinput",
    "formatter",
    "ftplib",
    "gc",
    "genericpath",
    "getpass",
    "gettext",
    "glob",
    "gzip",
    "http",
    "idlelib",
    "imaplib",
    "imghdr",
    "imp",
    "importlib",
    "inspect",
    "io",
    "lib2to3",
    "linecache",
    "logging.config",
    "logging.handlers",
    "lzma",
    "mailbox",
    "mailcap",
    "marshal",
    "mimetypes",
    "mmap",
    "modulefinder",
    "msilib",
    "msvcrt",
    "multiprocessing",
    "netrc",
    "nis",
    "nntplib",
    "nt",
    "ntpath",
    "nturl2path",
    "os",
    "os2",
    "ossaudiodev",
    "parser",
    "pdb",
    "pickle",
    "pickletools",
    "pipes",
    "pkgutil",
    "platform",
    "plistlib",
    "popen2",
    "poplib",
    "posix",
    "posixfile",
    "posixpath",
    "profile",
    "pstats",
    "pty",
    "pwd",
    "py_compile",
    "pyclbr",
    "pydoc",
    "readline",
    "resource",
    "rlcompleter",
    "runpy",
    "sched",
    "select",
    "selectors",
    "shelve",
    "shlex",
    "shutil",
    "signal",
    "site",
    "smtpd",
    "smtplib",
    "sndhdr",
    "socket",
    "socketserver",
    "spwd",
    "sqlite3",
    "ssl",
    "subprocess",
    "sunau",
    "symtable",
    "sys",
    "sysconfig",
    "syslog",
    "tabnanny",
    "tarfile",
    "telnetlib",
    "tempfile",
    "termios",
    "test",
    "threading",
    "timeit",
    "tkinter",
    "tokenize",
    "trace",
    "traceback",
    "tracemalloc",
    "tty",
    "turtle",
    "turtledemo",
    "unittest",
    "urllib",
    "uu",
    "venv",
    "wave",
    "webbrowser",
    "winreg",
    "wsgiref",
    "xml",
    "xmlrpc",
    "zipapp",
    "zipfile",
    "zipimport",
    // PyTorch: compilers, loaders, launchers, test tools.
    "torch._C",
    "torch._appdirs",
    "torch._classes",
    "torch._dynamo",
    "torch._export",
    "torch._inductor",
    "torch._library",
    "torch._ops",
    "torch._subclasses",
    "torch.autograd.profiler",
    "torch.backends._nnapi",
    "torch.classes",
    "torch.compiler",
    "torch.cuda._utils",
    "torch.cuda.jiterator",
    "torch.distributed.checkpoint",
    "torch.distributed.elastic",
    "torch.distributed.launch",
    "torch.distributed.launcher",
    "torch.distributed.nn",
    "torch.distributed.rpc",
    "torch.distributed.run",
    "torch.export",
    "torch.fx",
    "torch.hub",
    "torch.jit",
    "torch.library",
    "torch.mtia._utils",
    "torch.multiprocessing",
    "torch.onnx",
    "torch.ops",
    "torch.package",
    "torch.profiler",
    "torch.testing",
    "torch.utils._config_module",
    "torch.utils._cpp_extension_versioner",
    "torch.utils.benchmark",
    "torch.utils.bottleneck",
    "torch.utils.collect_env",
    "torch.utils.cpp_extension",
    "torch.utils.data.datapipes",
    "torch.utils.file_baton",
    "torch.utils.hipify",
    "torch.utils.mobile_optimizer",
    "torch.utils.model_dump",
    "torch.utils.model_zoo",
    "torch.utils.show_pickle",
    "torch.utils.tensorboard",
    "torchaudio.io",
    "torchvision.io",
    // NumPy.
    "numpy._pytesttester",
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.lib._datasource",
    "numpy.lib._npyio_impl",
    "numpy.lib.format",
    "numpy.lib.npyio",
    "numpy.testing",
    // Other pickles, configuration, tools.
    "IPython",
    "_pytest",
    "cloudpickle",
    "dill",
    "fire",
    "gdb",
    "hydra",
    "ipykernel",
    "joblib",
    "jsonpickle",
    "klepto",
    "lldb",
    "numba",
    "pandas.compat.pickle_compat",
    "pandas.io",
    "pip",
    "pkg_resources",
    "pytest",
    "pythoncom",
    "pyximport",
    "setuptools",
    "sklearn.externals",
    "sklearn.utils._joblib",
    "srsly",
    "win32api",
    "win32com",
});

// Names that do so in modules that also have harmless ones.
constexpr std::array kUnsafeNames = {
    Names{"_codecs", "decode lookup register register_error lookup_error"},
    Names{"codecs",
          "open EncodedFile StreamReaderWriter decode encode lookup register getreader "
          "getwriter charmap_build StreamRecoder"},
    Names{"copyreg", "add_extension remove_extension clear_extension_cache pickle constructor"},
    Names{"operator", "attrgetter itemgetter methodcaller call setitem delitem iconcat"},
    Names{"_operator", "attrgetter itemgetter methodcaller call setitem delitem iconcat"},
    Names{"itertools", "starmap accumulate filterfalse takewhile dropwhile groupby"},
    Names{"types",
          "FunctionType LambdaType CodeType MethodType BuiltinFunctionType "
          "BuiltinMethodType ModuleType new_class prepare_class DynamicClassAttribute coroutine "
          "resolve_bases"},
    Names{"typing", "get_type_hints ForwardRef _eval_type io re IO TextIO BinaryIO sys"},
    Names{"collections", "namedtuple _sys _eval"},
    Names{"dataclasses", "make_dataclass _create_fn"},
    Names{"uuid",
          "os sys _get_command_stdout _popen getnode _ifconfig_getter _ip_getter _arp_getter "
          "_lanscan_getter _netstat_getter main"},
    Names{"argparse", "FileType ArgumentParser _sys _os"},
    Names{"pathlib", "os io sys fnmatch"},
    Names{"logging", "FileHandler StreamHandler basicConfig config handlers os sys io"},
    Names{"weakref", "finalize"},
    Names{"copy", "_reconstruct"},
    Names{"contextlib",
          "ExitStack AsyncExitStack redirect_stdout redirect_stderr chdir contextmanager "
          "closing"},
    Names{"optparse", "OptionParser Option os sys"},
    Names{"time", "sleep"},
    Names{"torch",
          "load save _C hub jit ops classes compile package utils serialization os sys "
          "from_file load_library import_ir_module import_ir_module_from_buffer __import__ "
          "set_default_tensor_type _import_dotted_name _dynamo _inductor builtins ctypes inspect "
          "platform textwrap threading torch_version _running_with_deploy"},
    Names{"torch.serialization",
          "load save _load _save _legacy_load _legacy_save _open_file _open_zipfile_reader "
          "_open_zipfile_writer os io pickle sys tarfile shutil tempfile struct copyreg "
          "register_package add_safe_globals safe_globals _maybe_decode_ascii find_cuda_device "
          "StorageType _open_file_like _is_path mkdtemp"},
    Names{"torch.storage", "_load_from_bytes io copy collections"},
    Names{"torch._utils",
          "_import_dotted_name _get_async_or_non_blocking sys traceback import_dotted_name"},
    Names{"torch._utils_internal", "*"},
    Names{"torch._tensor", "_rebuild_from_type"},
    Names{"torch._weights_only_unpickler", "load Unpickler pickle_load _import_dotted_name"},
    Names{"torch.utils.data.dataloader", "DataLoader default_collate multiprocessing os"},
    Names{"torch.storage._StorageBase", "*"},
    Names{"torch.cuda", "memory_snapshot os sys importlib"},
    Names{"torchaudio", "load save info utils"},
    Names{"torchvision.datasets.utils", "*"},
    Names{"numpy",
          "load save savez savez_compressed savetxt loadtxt genfromtxt fromfile fromregex memmap "
          "DataSource f2py testing distutils ctypeslib lib core os sys recfromcsv recfromtxt "
          "vectorize "
          "frompyfunc apply_along_axis apply_over_axes piecewise fromfunction tofile fromiter "
          "load_library "
          "open_memmap test info lookfor source deprecate safe_eval mafromtxt ndfromtxt rec"},
    Names{"numpy.core", "memmap"},
    Names{"numpy.core.memmap", "memmap"},
    Names{"numpy._core.memmap", "memmap"},
    Names{"numpy.core.records", "fromfile"},
    Names{"numpy.rec", "fromfile"},
    Names{"numpy.core.multiarray", "fromfile frompyfunc _vec_string"},
    Names{"numpy._core.multiarray", "fromfile frompyfunc _vec_string"},
    Names{"numpy.core._multiarray_umath", "fromfile frompyfunc"},
    Names{"numpy.lib", "DataSource npyio format load save utils"},
    Names{"numpy.lib.utils", "safe_eval source lookfor info deprecate _makenamedict"},
    Names{"numpy.lib.function_base", "vectorize piecewise"},
    Names{"numpy.lib.shape_base", "apply_along_axis apply_over_axes"},
    Names{"numpy.compat", "py3k open_latin1 os_fspath npy_load_module"},
    Names{"numpy.compat.py3k", "npy_load_module open_latin1 Path os"},
    Names{"numpy.ma", "frombuffer fromfile load"},
    Names{"omegaconf", "OmegaConf"},
    Names{"omegaconf.omegaconf", "OmegaConf"},
    Names{"omegaconf.resolvers", "*"},
    Names{"omegaconf._utils", "yaml get_yaml_loader load_yaml"},
    Names{"yaml",
          "load load_all unsafe_load unsafe_load_all full_load full_load_all safe_load "
          "safe_load_all dump "
          "dump_all Loader UnsafeLoader FullLoader CLoader CUnsafeLoader add_constructor "
          "add_multi_constructor YAMLObject warnings"},
    Names{"yaml.constructor", "UnsafeConstructor FullConstructor Constructor"},
    Names{"yaml.loader", "UnsafeLoader FullLoader Loader"},
    Names{"ruamel.yaml", "load load_all YAML"},
    Names{"pandas",
          "read_pickle read_csv read_json read_html read_xml read_sql eval to_pickle HDFStore "
          "ExcelWriter ExcelFile"},
    Names{"pandas.core.computation.eval", "eval"},
    Names{"safetensors.torch", "save_file load_file load_model save_model"},
    Names{"huggingface_hub", "hf_hub_download snapshot_download"},
    Names{"requests", "*"},
    Names{"requests.api", "*"},
    Names{"aiohttp", "*"},
    Names{"httpx", "*"},
    Names{"paramiko", "*"},
    Names{"flask", "*"},
    Names{"django.utils.module_loading", "import_string"},
    Names{"werkzeug.utils", "import_string"},
    Names{"jinja2", "Template Environment from_string"},
    Names{"mako.template", "Template"},
    Names{"sympy", "sympify parse_expr lambdify"},
    Names{"sympy.parsing.sympy_parser", "parse_expr eval_expr"},
    Names{"tensorflow", "io function py_function numpy_function"},
    Names{"keras.models", "load_model"},
    Names{"cffi", "*"},
    Names{"psutil", "*"},
    Names{"sh", "*"},
    Names{"pexpect", "*"},
    Names{"nltk", "*"},
};

// Built-in functions that do nothing by themselves. All others in lower case are unsafe.
constexpr std::string_view kHarmlessBuiltins =
    "abs all any ascii bin chr divmod enumerate format hash hex isinstance issubclass len max min "
    "oct ord pow repr "
    "reversed round sorted sum zip";

// Top-level packages whose classes are not the user's own.
constexpr auto kOtherLibraries = std::to_array<std::string_view>({
    "_functools", "_operator",   "abc",        "argparse",   "array",       "builtins",
    "codecs",     "collections", "contextlib", "copy",       "copyreg",     "dataclasses",
    "datetime",   "decimal",     "enum",       "fractions",  "functools",   "itertools",
    "json",       "logging",     "omegaconf",  "operator",   "pathlib",     "random",
    "re",         "string",      "time",       "torchaudio", "torchvision", "types",
    "typing",     "uuid",        "warnings",   "weakref",    "yaml",        "zoneinfo",
});

// Modules that most others import, and so have as attributes.
constexpr auto kOftenImported = std::to_array<std::string_view>({
    "builtins",
    "ctypes",
    "importlib",
    "io",
    "marshal",
    "os",
    "pickle",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
});

bool has_word(std::string_view words, std::string_view word) {
  std::size_t at = 0;
  while ((at = words.find(word, at)) != std::string_view::npos) {
    const std::size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' '))
      return true;
    at = end;
  }
  return false;
}

bool lists(std::span<const Names> table, std::string_view module, std::string_view name) {
  if (name.empty() || name.find(' ') != std::string_view::npos) return false;
  return std::any_of(table.begin(), table.end(), [&](const Names& row) {
    return row.module == module && (row.names == "*" || has_word(row.names, name));
  });
}

// Whether `module` is one of `modules` or lies below it.
bool is_within(std::span<const std::string_view> modules, std::string_view module) {
  return std::any_of(modules.begin(), modules.end(), [module](std::string_view candidate) {
    return module.starts_with(candidate) &&
           (module.size() == candidate.size() || module[candidate.size()] == '.');
  });
}

std::string_view first_part(std::string_view dotted) { return dotted.substr(0, dotted.find('.')); }

// A dotted name reaches attributes of what a module holds. Only the form of a nested class is not
// suspicious: Outer.Inner.
bool is_nested_class(std::string_view name) {
  while (true) {
    const std::string_view part = first_part(name);
    if (part.empty() || std::isupper(static_cast<unsigned char>(part[0])) == 0) return false;
    if (part.size() == name.size()) return true;
    name.remove_prefix(part.size() + 1);
  }
}

// "os" in "torch.serialization": a module that another one imported, under its own name.
bool names_imported_module(std::string_view module, std::string_view name) {
  const auto has = [name](std::span<const std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return has(kOftenImported) || (is_library_module(module) && has(kUnsafeModules));
}

bool starts_lower(std::string_view name) {
  return !name.empty() && std::isupper(static_cast<unsigned char>(name[0])) == 0;
}

bool is_dunder(std::string_view name) {
  return name.size() > 4 && name.starts_with("__") && name.ends_with("__");
}

}  // namespace

NamePair map_python2_name(std::string_view module, std::string_view name) {
  for (const Renamed& row : kRenamed) {
    if (row.python2.module == module && row.python2.name == name) return row.python3;
  }
  for (const Module& row : kRenamedModules) {
    if (row.python2 == module) return {row.python3, name};
  }
  return {module, name};
}

bool is_judged_by_use(std::string_view module, std::string_view name) {
  return (module == "builtins" && (name == "getattr" || name == "type")) ||
         (module == "_operator" && name == "getitem") ||
         ((module == "functools" || module == "_functools") && name == "reduce");
}

bool is_library_module(std::string_view module) {
  const std::string_view package = first_part(module);
  const auto same = [package](std::string_view other) { return first_part(other) == package; };
  return std::any_of(kUnsafeModules.begin(), kUnsafeModules.end(), same) ||
         std::any_of(kOtherLibraries.begin(), kOtherLibraries.end(), same);
}

Verdict judge_global(std::string_view module, std::string_view qualified_name) {
  const NamePair name = map_python2_name(module, qualified_name);
  if (name.module.empty()) return Verdict::unsafe;  // <dynamic>, <ext:N>
  if (lists(kKnown, name.module, name.name)) return Verdict::known;
  if (is_within(kUnsafeModules, name.module) || lists(kUnsafeNames, name.module, name.name)) {
    return Verdict::unsafe;
  }
  if (name.name.find('.') != std::string_view::npos) {
    return is_nested_class(name.name) && !is_library_module(name.module) ? Verdict::unknown
                                                                         : Verdict::unsafe;
  }
  // Built-in names in upper case are exceptions.
  if (name.module == "builtins" && starts_lower(name.name) &&
      !has_word(kHarmlessBuiltins, name.name)) {
    return Verdict::unsafe;
  }
  if (names_imported_module(name.module, name.name) || is_dunder(name.name)) return Verdict::unsafe;
  return Verdict::unknown;
}

}  // namespace craftbundle
