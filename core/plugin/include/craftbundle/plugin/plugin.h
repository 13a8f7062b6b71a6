// The line between host and plugin libraries.
//
// A plugin is a MODULE library with exactly one exported symbol, the constant `craftbundle_plugin`
// of type PluginDescriptor. The host judges that struct field by field before it calls anything.
// Behind it the interface is C++, so host and plugin must agree on it exactly: kInterfaceId.
//
//   // plugin.cc, the whole file:
//   #include "craftbundle/plugin/plugin.h"
//   #include "my_exporter.h"
//   CRAFTBUNDLE_PLUGIN("my_codec", "1.0.0", registrar) {
//     registrar.add(std::make_unique<MyExporter>());
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/base/error.h"
#include "craftbundle/plugin/codec.h"
#include "craftbundle/plugin/exporter.h"
#include "craftbundle/plugin/interface_id.h"
#include "craftbundle/plugin/stage_kind.h"

namespace craftbundle {

// Outcome of a call across the line: plain values, no exceptions. Owned strings; both sides use the
// same C++ runtime (part of kInterfaceId).
struct LineFailure {
  bool failed = false;
  ErrorKind kind = ErrorKind::plugin;
  std::string code;
  std::string message;
  std::string hint;
  std::string subject;
  std::vector<std::string> contexts;  // outermost first; at the beginning of `message` too

  void set(const Error& error);
  void set(std::string_view code, std::string_view message);
  // Throws the Error this describes. REQUIRES: failed.
  [[noreturn]] void raise() const;
};

// What the host sees of an exporter: every function is noexcept, failures come back as values.
class LineExporter {
 public:
  virtual ~LineExporter() = default;
  virtual ExporterInfo info(LineFailure& failure) const noexcept = 0;
  virtual Probe probe(const Source& source, LineFailure& failure) const noexcept = 0;
  virtual Component prepare(const ExportRequest& request, ExportContext& context,
                            LineFailure& failure) const noexcept = 0;
};

// The same of a kind of stage.
class LineStageKind {
 public:
  virtual ~LineStageKind() = default;
  virtual StageKindInfo info(LineFailure& failure) const noexcept = 0;
  virtual StageOutcome run(const StageRequest& request, StageContext& context,
                           LineFailure& failure) const noexcept = 0;
};

// The same of a codec, and of what loads one.
class LineCodec {
 public:
  virtual ~LineCodec() = default;
  virtual CodecProperties properties(LineFailure& failure) const noexcept = 0;
  virtual Latent encode_latent(const Audio& audio, LineFailure& failure) const noexcept = 0;
  virtual Codes encode(const Audio& audio, std::int64_t codebooks,
                       LineFailure& failure) const noexcept = 0;
  virtual Latent decode_latent(const Codes& codes, LineFailure& failure) const noexcept = 0;
  virtual Audio decode(const Codes& codes, LineFailure& failure) const noexcept = 0;
  virtual void save(OutputFile& file, LineFailure& failure) const noexcept = 0;
};

class LineCodecLoader {
 public:
  virtual ~LineCodecLoader() = default;
  virtual CodecLoaderInfo info(LineFailure& failure) const noexcept = 0;
  virtual std::unique_ptr<LineCodec> load(const Value& package, const CodecOptions& options,
                                          LineFailure& failure) const noexcept = 0;
};

// Given to the entry function; collects what the library offers. Implemented by the host.
class LineRegistrar {
 public:
  virtual ~LineRegistrar() = default;
  virtual void add(std::unique_ptr<LineExporter> exporter) noexcept = 0;
  virtual void add(std::unique_ptr<LineStageKind> kind) noexcept = 0;
  virtual void add(std::unique_ptr<LineCodecLoader> loader) noexcept = 0;
};

namespace detail {

// Calls `body`; whatever it throws becomes `failure`.
template <typename Result, typename Body>
Result guard(LineFailure& failure, Body&& body) noexcept {
  try {
    return body();
  } catch (const Error& error) {
    failure.set(error);
  } catch (const std::bad_alloc&) {
    failure.set("plugin.memory", "out of memory");
  } catch (const std::exception& error) {
    failure.set("plugin.exception", error.what());
  } catch (...) {
    failure.set("plugin.exception", "an exception that is no std::exception");
  }
  return Result();
}

// The plugin's side of the line: compiled into the plugin, catches what its exporter throws.
class GuardedExporter final : public LineExporter {
 public:
  explicit GuardedExporter(std::unique_ptr<const Exporter> exporter)
      : exporter_(std::move(exporter)) {}
  ExporterInfo info(LineFailure& failure) const noexcept override {
    return guard<ExporterInfo>(failure, [&] { return exporter_->info(); });
  }
  Probe probe(const Source& source, LineFailure& failure) const noexcept override {
    return guard<Probe>(failure, [&] { return exporter_->probe(source); });
  }
  Component prepare(const ExportRequest& request, ExportContext& context,
                    LineFailure& failure) const noexcept override {
    return guard<Component>(failure, [&] { return exporter_->prepare(request, context); });
  }

 private:
  std::unique_ptr<const Exporter> exporter_;
};

class GuardedStageKind final : public LineStageKind {
 public:
  explicit GuardedStageKind(std::unique_ptr<const StageKind> kind) : kind_(std::move(kind)) {}
  StageKindInfo info(LineFailure& failure) const noexcept override {
    return guard<StageKindInfo>(failure, [&] { return kind_->info(); });
  }
  StageOutcome run(const StageRequest& request, StageContext& context,
                   LineFailure& failure) const noexcept override {
    return guard<StageOutcome>(failure, [&] { return kind_->run(request, context); });
  }

 private:
  std::unique_ptr<const StageKind> kind_;
};

class GuardedCodec final : public LineCodec {
 public:
  explicit GuardedCodec(std::unique_ptr<const Codec> codec) : codec_(std::move(codec)) {}
  CodecProperties properties(LineFailure& failure) const noexcept override {
    return guard<CodecProperties>(failure, [&] { return codec_->properties(); });
  }
  Latent encode_latent(const Audio& audio, LineFailure& failure) const noexcept override {
    return guard<Latent>(failure, [&] { return codec_->encode_latent(audio); });
  }
  Codes encode(const Audio& audio, std::int64_t codebooks,
               LineFailure& failure) const noexcept override {
    return guard<Codes>(failure, [&] { return codec_->encode(audio, codebooks); });
  }
  Latent decode_latent(const Codes& codes, LineFailure& failure) const noexcept override {
    return guard<Latent>(failure, [&] { return codec_->decode_latent(codes); });
  }
  Audio decode(const Codes& codes, LineFailure& failure) const noexcept override {
    return guard<Audio>(failure, [&] { return codec_->decode(codes); });
  }
  void save(OutputFile& file, LineFailure& failure) const noexcept override {
    guard<int>(failure, [&] {
      codec_->save(file);
      return 0;
    });
  }

 private:
  std::unique_ptr<const Codec> codec_;
};

class GuardedCodecLoader final : public LineCodecLoader {
 public:
  explicit GuardedCodecLoader(std::unique_ptr<const CodecLoader> loader)
      : loader_(std::move(loader)) {}
  CodecLoaderInfo info(LineFailure& failure) const noexcept override {
    return guard<CodecLoaderInfo>(failure, [&] { return loader_->info(); });
  }
  std::unique_ptr<LineCodec> load(const Value& package, const CodecOptions& options,
                                  LineFailure& failure) const noexcept override {
    return guard<std::unique_ptr<LineCodec>>(failure, [&]() -> std::unique_ptr<LineCodec> {
      std::unique_ptr<const Codec> codec = loader_->load(package, options);
      if (!codec) throw Error(ErrorKind::plugin, "plugin.codec", "a codec that is null was made");
      return std::make_unique<GuardedCodec>(std::move(codec));
    });
  }

 private:
  std::unique_ptr<const CodecLoader> loader_;
};

}  // namespace detail

// What a plugin's entry sees.
class Registrar {
 public:
  explicit Registrar(LineRegistrar& line) : line_(line) {}
  void add(std::unique_ptr<const Exporter> exporter) {
    if (!exporter)
      throw Error(ErrorKind::plugin, "plugin.entry", "an exporter that is null was added");
    line_.add(std::make_unique<detail::GuardedExporter>(std::move(exporter)));
  }
  void add(std::unique_ptr<const StageKind> kind) {
    if (!kind)
      throw Error(ErrorKind::plugin, "plugin.entry", "a kind of stage that is null was added");
    line_.add(std::make_unique<detail::GuardedStageKind>(std::move(kind)));
  }
  void add(std::unique_ptr<const CodecLoader> loader) {
    if (!loader)
      throw Error(ErrorKind::plugin, "plugin.entry", "a loader of codecs that is null was added");
    line_.add(std::make_unique<detail::GuardedCodecLoader>(std::move(loader)));
  }

 private:
  LineRegistrar& line_;
};

// First field of the exported symbol. Never changes.
inline constexpr char kPluginMagic[8] = {'C', 'R', 'F', 'T', 'B', 'N', 'D', 'L'};
// Layout of PluginDescriptor. The first three fields keep their place in every version.
inline constexpr std::uint32_t kPluginAbiVersion = 1;
inline constexpr char kPluginSymbol[] = "craftbundle_plugin";

// The exported symbol: plain data that can be read from any version. Strings are NUL-terminated,
// owned by the library.
struct PluginDescriptor {
  char magic[8];
  std::uint32_t abi_version;
  std::uint32_t struct_size;
  const char* interface_id;  // kInterfaceId of the headers the plugin was compiled with
  const char* name;          // "^[a-z][a-z0-9_-]*$"
  const char* version;       // of the plugin, "1.2.3"
  // Registers exporters, kinds of stage and loaders of codecs. Never throws; on failure sets
  // *failure and nothing it added is used. Called once, from one thread.
  void (*entry)(LineRegistrar* registrar, LineFailure* failure);
};

}  // namespace craftbundle

// Defines the exported symbol. The body that follows has `registrar`, a Registrar&.
// NOLINTBEGIN(bugprone-macro-parentheses): it is the name of a parameter.
#define CRAFTBUNDLE_PLUGIN(plugin_name, plugin_version, registrar)              \
  static void craftbundle_plugin_register(::craftbundle::Registrar& registrar); \
  static void craftbundle_plugin_entry(::craftbundle::LineRegistrar* line,      \
                                       ::craftbundle::LineFailure* failure) {   \
    ::craftbundle::detail::guard<int>(*failure, [&] {                           \
      ::craftbundle::Registrar for_author(*line);                               \
      craftbundle_plugin_register(for_author);                                  \
      return 0;                                                                 \
    });                                                                         \
  }                                                                             \
  extern "C" __attribute__((visibility("default"), used))                       \
  const ::craftbundle::PluginDescriptor craftbundle_plugin = {                  \
      {'C', 'R', 'F', 'T', 'B', 'N', 'D', 'L'},                                 \
      ::craftbundle::kPluginAbiVersion,                                         \
      sizeof(::craftbundle::PluginDescriptor),                                  \
      ::craftbundle::kInterfaceId,                                              \
      plugin_name,                                                              \
      plugin_version,                                                           \
      &craftbundle_plugin_entry};                                               \
  static void craftbundle_plugin_register(::craftbundle::Registrar& registrar)
// NOLINTEND(bugprone-macro-parentheses)
