#include "craftbundle/detail/pipeline/verify_page.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <numbers>

#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/pipeline/page.h"
#include "craftbundle/detail/tensor/dtype.h"

namespace craftbundle {
namespace {

constexpr std::size_t kColumns = 600;  // of pictures

// Bytes ----------------------------------------------------------------------------------------

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<std::uint8_t>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return text;
}

void append(std::string& bytes, std::uint32_t value, int size) {
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFFU);
}

// WAV of 16-bit numbers, which every browser plays.
std::string wav(const Recording& recording) {
  const auto channels = static_cast<std::uint32_t>(recording.channels().size());
  const auto rate = static_cast<std::uint32_t>(recording.sample_rate());
  const auto size = static_cast<std::uint32_t>(recording.samples()) * channels * 2;
  std::string bytes = "RIFF";
  append(bytes, 36 + size, 4);
  bytes += "WAVEfmt ";
  append(bytes, 16, 4);
  append(bytes, 1, 2);  // PCM
  append(bytes, channels, 2);
  append(bytes, rate, 4);
  append(bytes, rate * channels * 2, 4);
  append(bytes, channels * 2, 2);
  append(bytes, 16, 2);
  bytes += "data";
  append(bytes, size, 4);
  for (std::size_t i = 0; i < recording.samples(); ++i) {
    for (const std::vector<float>& channel : recording.channels()) {
      const float value = std::clamp(channel[i], -1.0F, 1.0F);
      append(bytes, static_cast<std::uint16_t>(std::lround(value * 32767)), 2);
    }
  }
  return bytes;
}

// Pictures -------------------------------------------------------------------------------------

std::vector<float> mono(const Recording& recording) {
  std::vector<float> sum(recording.samples());
  for (const std::vector<float>& channel : recording.channels()) {
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] += channel[i] / static_cast<float>(recording.channels().size());
    }
  }
  return sum;
}

std::string waveform(const std::vector<float>& samples) {
  std::string upper;
  std::string lower;
  for (std::size_t x = 0; x < kColumns; ++x) {
    const std::size_t begin = x * samples.size() / kColumns;
    const std::size_t end = std::max(begin + 1, (x + 1) * samples.size() / kColumns);
    float low = 0;
    float high = 0;
    for (std::size_t i = begin; i < std::min(end, samples.size()); ++i) {
      low = std::min(low, samples[i]);
      high = std::max(high, samples[i]);
    }
    const auto y = [](float value) {
      return fixed_text(40 - 38 * std::clamp<double>(value, -1, 1), 1);
    };
    upper += (x == 0 ? "M" : "L") + std::to_string(x) + " " + y(high);
    lower = "L" + std::to_string(x) + " " + y(std::min(low, high - 0.02F)) + lower;
  }
  return "<svg viewBox=\"0 0 " + std::to_string(kColumns) +
         " 80\" preserveAspectRatio=\"none\" height=\"80\" role=\"img\" aria-label=\"waveform\">"
         "<path class=\"wave\" d=\"" +
         upper + lower + "Z\"/></svg>";
}

// In place; the size is a power of two.
void transform(std::vector<std::complex<double>>& values) {
  const std::size_t size = values.size();
  for (std::size_t i = 1, j = 0; i < size; ++i) {
    std::size_t bit = size >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(values[i], values[j]);
  }
  for (std::size_t length = 2; length <= size; length *= 2) {
    const std::complex<double> step =
        std::polar(1.0, -2 * std::numbers::pi / static_cast<double>(length));
    for (std::size_t begin = 0; begin < size; begin += length) {
      std::complex<double> turn = 1;
      for (std::size_t k = begin; k < begin + length / 2; ++k, turn *= step) {
        const std::complex<double> other = turn * values[k + length / 2];
        values[k + length / 2] = values[k] - other;
        values[k] += other;
      }
    }
  }
}

// Levels of 0 (80 dB below full scale) to 255, [row from the lowest frequency][column].
std::vector<std::vector<std::uint8_t>> spectrogram(const std::vector<float>& samples) {
  constexpr std::size_t kWindow = 1024;
  constexpr std::size_t kRows = 128;
  constexpr double kRange = 80;
  std::vector<std::vector<std::uint8_t>> rows(kRows, std::vector<std::uint8_t>(kColumns));
  std::vector<std::complex<double>> values(kWindow);
  for (std::size_t x = 0; x < kColumns; ++x) {
    const std::size_t begin = x * samples.size() / kColumns;
    for (std::size_t i = 0; i < kWindow; ++i) {
      const double window =
          0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / kWindow);
      values[i] = begin + i < samples.size() ? window * samples[begin + i] : 0;
    }
    transform(values);
    for (std::size_t y = 0; y < kRows; ++y) {
      double power = 0;
      constexpr std::size_t kBins = kWindow / 2 / kRows;
      for (std::size_t k = y * kBins; k < (y + 1) * kBins; ++k) {
        power = std::max(power, std::norm(values[k]));
      }
      const double level = 10 * std::log10(power / (kWindow * kWindow / 16.0) + 1e-12);
      rows[y][x] = static_cast<std::uint8_t>(255 * std::clamp(level / kRange + 1, 0.0, 1.0));
    }
  }
  return rows;
}

// As a bitmap with a palette from black over blue and orange to white.
std::string bitmap(const std::vector<std::vector<std::uint8_t>>& rows) {
  const auto width = static_cast<std::uint32_t>(rows.front().size());
  const auto height = static_cast<std::uint32_t>(rows.size());
  const std::uint32_t padding = (4 - width % 4) % 4;
  const std::uint32_t size = (width + padding) * height;
  constexpr std::uint32_t kHead = 14 + 40 + 256 * 4;
  std::string bytes = "BM";
  append(bytes, kHead + size, 4);
  append(bytes, 0, 4);
  append(bytes, kHead, 4);
  append(bytes, 40, 4);
  append(bytes, width, 4);
  append(bytes, height, 4);
  append(bytes, 1, 2);
  append(bytes, 8, 2);  // bits a pixel
  append(bytes, 0, 4);
  append(bytes, size, 4);
  append(bytes, 2835, 4);
  append(bytes, 2835, 4);
  append(bytes, 256, 4);
  append(bytes, 256, 4);
  for (int i = 0; i < 256; ++i) {
    const double t = i / 255.0;
    const auto part = [&](double value) {
      return static_cast<std::uint32_t>(255 * std::clamp(value, 0.0, 1.0));
    };
    append(bytes, part(t < 0.5 ? 1.4 * t : 1.4 - 1.4 * t + (t > 0.75 ? 4 * (t - 0.75) : 0)), 1);
    append(bytes, part(1.6 * t - 0.5), 1);
    append(bytes, part(1.8 * t - 0.3), 1);
    append(bytes, 0, 1);
  }
  for (const std::vector<std::uint8_t>& row : rows) {  // the lowest comes first
    bytes.append(row.begin(), row.end());
    bytes.append(padding, '\0');
  }
  return bytes;
}

std::string audio_figure(std::string_view title, const Recording& recording) {
  const std::vector<float> samples = mono(recording);
  const std::string name(title);
  return "<figure class=\"box\"><figcaption>" + name +
         "</figcaption><audio controls=\"controls\" " + "aria-label=\"" + name +
         "\" src=\"data:audio/wav;base64," + base64(wav(recording)) + "\"></audio>" +
         waveform(samples) + "<img alt=\"spectrogram of " + name + ", up to " +
         number_text(static_cast<double>(recording.sample_rate()) / 2000) +
         " kHz\" src=\"data:image/bmp;base64," + base64(bitmap(spectrogram(samples))) +
         "\"/></figure>";
}

std::string codec_section(const CodecPage& page) {
  const CodecRun& run = page.run;
  HtmlTable figures("the codec", {{"what"}, {"value"}});
  figures.add({"audio", html_text(page.input) + ", " + fixed_text(run.seconds, 2) + " s"});
  figures.add({"codes", counted(static_cast<std::uint64_t>(run.frames), "frame") + " of " +
                            std::to_string(run.codebooks) + ", " +
                            fixed_text(run.bits_per_second / 1000, 2) + " kbit/s"});
  figures.add({"SI-SNR", std::isfinite(run.si_snr) ? fixed_text(run.si_snr, 2) + " dB"
                                                   : std::string("none: silence")});
  figures.add({"computed by", html_text(page.properties.engine + " on " + page.properties.device)});
  std::vector<HtmlBar> use;
  const auto entries = static_cast<double>(std::max<std::int64_t>(1, page.properties.cardinality));
  for (std::size_t i = 0; i < run.use.size(); ++i) {
    use.push_back({"codebook " + std::to_string(i), static_cast<double>(run.use[i].used) / entries,
                   std::to_string(run.use[i].used) + " of " +
                       std::to_string(page.properties.cardinality) + " entries, " +
                       fixed_text(run.use[i].entropy, 2) + " bits a code"});
  }
  std::string sound;
  if (page.original.samples() > 0 && page.decoded.samples() > 0) {
    sound = "<div class=\"pair\">" + audio_figure("original", page.original) +
            audio_figure("decoded", page.decoded) + "</div>\n";
    if (run.seconds > Recording::kSeconds) {
      sound += "<p class=\"sub\">The first " + fixed_text(Recording::kSeconds, 0) + " s.</p>\n";
    }
  }
  return html_section("The codec, run", sound + figures.text()) +
         html_section("Use of each codebook", html_bars(use));
}

// Weights --------------------------------------------------------------------------------------

// The module that a tensor is shown under: its name up to the first number, else two parts.
std::string layer_of(const std::string& name) {
  std::size_t parts = 0;
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const bool is_number =
        end > begin && std::ranges::all_of(name.substr(begin, end - begin),
                                           [](char c) { return c >= '0' && c <= '9'; });
    ++parts;
    if (is_number || (parts == 2 && name.find_first_of("0123456789", end) == std::string::npos)) {
      return name.substr(0, end);
    }
    begin = end + 1;
  }
  return name;
}

std::string size_section(const Verification& found) {
  std::string text;
  for (const VerifiedComponent& component : found.components) {
    if (!component.prepared || component.prepared->component.model() == nullptr) continue;
    std::vector<HtmlTile> tiles;
    for (const NamedTensor& tensor : component.prepared->component.model()->tensors) {
      double bytes = static_cast<double>(item_size(tensor.dtype()));
      for (const std::int64_t extent : tensor.shape()) bytes *= static_cast<double>(extent);
      const std::string layer = layer_of(tensor.name);
      const auto known = std::ranges::find(tiles, layer, &HtmlTile::label);
      if (known == tiles.end()) {
        tiles.push_back({layer, {}, bytes});
      } else {
        known->size += bytes;
      }
    }
    for (HtmlTile& tile : tiles) tile.value = human_bytes(static_cast<std::uint64_t>(tile.size));
    text += "<h3 class=\"mono\">" + html_text(component.file) + "</h3>" +
            html_treemap("size of each part of " + component.file, std::move(tiles));
  }
  return html_section("Where the bytes are", text);
}

std::string error_section(const Verification& found) {
  struct Layer {
    std::string name;
    double squares = 0;  // of relative errors, by elements
    double elements = 0;
    double largest = 0;
  };
  std::vector<Layer> layers;
  for (const TensorDifference& difference : found.differences) {
    const std::string name =
        (difference.file.empty() ? "" : difference.file + ": ") + layer_of(difference.name);
    auto layer = std::ranges::find(layers, name, &Layer::name);
    if (layer == layers.end()) layer = layers.insert(layer, {name});
    const auto elements = static_cast<double>(difference.elements);
    layer->squares += difference.relative * difference.relative * elements;
    layer->elements += elements;
    layer->largest = std::max(layer->largest, difference.absolute);
  }
  const auto error_of = [](const Layer& layer) {
    return layer.elements > 0 ? std::sqrt(layer.squares / layer.elements) : 0;
  };
  double largest = 0;
  for (const Layer& layer : layers) largest = std::max(largest, error_of(layer));
  std::vector<HtmlBar> bars;
  std::size_t equal = 0;
  for (const Layer& layer : layers) {
    if (layer.largest == 0) {
      ++equal;
      continue;
    }
    bars.push_back({layer.name, largest > 0 ? error_of(layer) / largest : 0,
                    error_text(error_of(layer)) + ", largest " + error_text(layer.largest)});
  }
  if (layers.empty()) return {};
  std::string text = html_bars(bars);
  if (!bars.empty()) {
    text = "<p class=\"sub\">Relative (RMS), and the largest of an element.</p>" + text;
  }
  if (equal > 0)
    text += "<p class=\"sub\">" + counted(equal, "layer") + " without a difference.</p>\n";
  return html_section("Error by layer against the original", text);
}

// Findings -------------------------------------------------------------------------------------

std::string findings_section(const Verification& found) {
  HtmlTable table("what was checked", {{"outcome"}, {"file"}, {"what"}});
  for (const Finding& finding : found.findings) {
    std::string outcome = "<span class=\"state done\">&#10003; ok</span>";
    if (finding.outcome == Finding::Outcome::fails) {
      outcome = "<span class=\"state bad\">&#10007; failed</span>";
    }
    if (finding.outcome == Finding::Outcome::warns) {
      outcome = "<span class=\"state held\">! warning</span>";
    }
    table.add({outcome,
               "<code>" + html_text(finding.where.empty() ? "bundle" : finding.where) + "</code>",
               html_text(finding.text) +
                   (finding.code.empty() ? "" : " <code>[" + html_text(finding.code) + "]</code>") +
                   (finding.hint.empty() ? "" : "<br/>hint: " + html_text(finding.hint))});
  }
  return html_section("Checks", table.text());
}

std::string loaders_section(const Verification& found) {
  HtmlTable table("what loads it", {{"loader"}, {"file"}, {"loads"}, {"because"}});
  bool any = false;
  for (const VerifiedComponent& component : found.components) {
    for (const LoaderAnswer& answer : component.loaders) {
      any = true;
      table.add({html_text(answer.loader), "<code>" + html_text(component.file) + "</code>",
                 !answer.loads          ? "no"
                 : answer.needs_network ? "with network"
                                        : "yes",
                 html_text(answer.words)});
    }
  }
  return any ? html_section("What loads it", table.text()) : std::string();
}

std::string files_section(const Verification& found) {
  const Manifest& manifest = found.stated ? *found.stated : found.described;
  HtmlTable table("files", {{"file"}, {"size", true}, {"SHA-256"}});
  for (const ManifestFile& file : manifest.files) {
    table.add({"<code>" + html_text(file.name) + "</code>", human_bytes(file.size),
               "<code>" + html_text(digest_text(file)) + "</code>"});
  }
  return manifest.files.empty() ? std::string() : html_section("Files", table.text());
}

}  // namespace

void Recording::add(const Audio& audio) {
  const auto limit = static_cast<std::size_t>(kSeconds * static_cast<double>(sample_rate_));
  const auto given = static_cast<std::size_t>(audio.samples);
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    std::vector<float>& channel = channels_[c];
    const std::size_t count = std::min(given, limit - std::min(limit, channel.size()));
    const auto begin = audio.data.begin() + static_cast<std::ptrdiff_t>(c * given);
    channel.insert(channel.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  }
}

std::string verify_page(const Path& path, const Verification& found, const CodecPage* codec) {
  const std::uint64_t failed = found.count(Finding::Outcome::fails);
  const std::uint64_t warnings = found.count(Finding::Outcome::warns);
  const std::string verdict = failed > 0 ? "<span class=\"state bad\">&#10007; failed</span>"
                                         : "<span class=\"state done\">&#10003; verified</span>";
  std::string body = "<header><h1>" + html_text(path.string()) + "</h1><p class=\"sub\">" +
                     verdict + " &#183; " + human_bytes(found.bytes) + " &#183; layout " +
                     html_text(found.layout) + " &#183; craftbundle " + CRAFTBUNDLE_VERSION +
                     "</p></header>\n<ul class=\"tiles\"><li><b class=\"done\">" +
                     std::to_string(found.count(Finding::Outcome::holds)) +
                     "</b><span>checks hold</span></li><li><b class=\"bad\">" +
                     std::to_string(failed) +
                     "</b><span>do not hold</span></li><li><b class=\"held\">" +
                     std::to_string(warnings) + "</b><span>warnings</span></li></ul>\n";
  if (found.depth == VerifyOptions::Depth::structure) {
    body += "<p class=\"held\">The contents were not checked.</p>\n";
  }
  if (codec != nullptr) body += codec_section(*codec);
  body += error_section(found) + size_section(found) + findings_section(found) +
          loaders_section(found) + files_section(found);
  return html_page(path.string() + ": verify", body);
}

}  // namespace craftbundle
