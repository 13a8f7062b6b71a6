#include "craftbundle/detail/host/elf.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/host/library.h"
#include "craftbundle/detail/io/input_file.h"

namespace craftbundle {
namespace {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Section = ElfW(Shdr);
using Dynamic = ElfW(Dyn);
using Symbol = ElfW(Sym);
using Tag = decltype(Dynamic::d_tag);

constexpr std::uint64_t kMaxSegments = 1'000;
constexpr std::uint64_t kMaxSections = 100'000;
constexpr std::uint64_t kMaxDynamic = 10'000;
constexpr std::uint64_t kMaxSymbols = 4'000'000;
constexpr std::uint64_t kMaxNames = 256ULL << 20;

constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char kData =
    std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

[[noreturn]] void refuse(std::string_view code, const Path& library, const std::string& what,
                         std::string hint = {}) {
  throw Error(ErrorKind::plugin, code, what, std::move(hint)).add_context(path_text(library));
}

// The machine this code runs on, as its own ELF header says.
const Header& own_header() {
  Dl_info info{};
  ::dladdr(reinterpret_cast<const void*>(&read_elf_names), &info);
  return *static_cast<const Header*>(info.dli_fbase);
}

std::string machine_name(unsigned machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_386:
      return "x86 (32 bit)";
    case EM_AARCH64:
      return "AArch64";
    case EM_ARM:
      return "ARM";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC64";
    case EM_S390:
      return "S/390";
    default:
      return "machine " + std::to_string(machine);
  }
}

std::string_view type_name(unsigned type) {
  switch (type) {
    case ET_REL:
      return "an object file";
    case ET_EXEC:
      return "a program";
    case ET_CORE:
      return "a core dump";
    default:
      return "of an unknown ELF type";
  }
}

InputFile open_library(const Path& library) {
  try {
    return InputFile(library);
  } catch (const Error& error) {
    const bool other = error.code() == "io.not_a_file";
    throw Error(ErrorKind::plugin, other ? "plugin.not_a_file" : "plugin.unreadable",
                error.bare_message(), error.hint())
        .add_context(path_text(library));
  }
}

// A library file whose header was accepted. Reads from `file`, which must outlive it.
class ElfFile {
 public:
  explicit ElfFile(const InputFile& file) : file_(file) {
    read_header();
    segments_ = table<Segment>(header_.e_phoff, header_.e_phnum, kMaxSegments, "program headers");
    check_segments();
    if (is_program()) {
      refuse("plugin.not_shared", file.path(), "is a program, expected a shared library");
    }
  }

  const Header& header() const { return header_; }
  const std::vector<Segment>& segments() const { return segments_; }

  [[noreturn]] void damaged(const std::string& what) const {
    refuse("plugin.not_elf", file_.path(), "is damaged: " + what);
  }

  // `count` elements at `offset`, after their range was checked.
  template <typename T>
  std::vector<T> table(std::uint64_t offset, std::uint64_t count, std::uint64_t limit,
                       const std::string& what) const {
    if (count > limit) damaged("it announces " + std::to_string(count) + " " + what);
    require_range(offset, count * sizeof(T), what);
    std::vector<T> result(count);
    file_.read(offset, std::as_writable_bytes(std::span(result)));
    return result;
  }

  std::string bytes(std::uint64_t offset, std::uint64_t size, const std::string& what) const {
    if (size > kMaxNames) damaged("its " + what + " have " + std::to_string(size) + " bytes");
    require_range(offset, size, what);
    return file_.read_text(offset, size);
  }

  // Entries of the dynamic section up to its end mark.
  std::vector<Dynamic> dynamic() const {
    const auto segment = std::find_if(segments_.begin(), segments_.end(),
                                      [](const Segment& s) { return s.p_type == PT_DYNAMIC; });
    if (segment == segments_.end()) damaged("it has no dynamic section");
    auto entries = table<Dynamic>(segment->p_offset, segment->p_filesz / sizeof(Dynamic),
                                  kMaxDynamic, "dynamic entries");
    const auto end = std::find_if(entries.begin(), entries.end(),
                                  [](const Dynamic& entry) { return entry.d_tag == DT_NULL; });
    entries.erase(end, entries.end());
    return entries;
  }

  // Place in the file of an address, by the segment that holds it.
  std::uint64_t offset_of(std::uint64_t address) const {
    for (const Segment& segment : segments_) {
      if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
      const std::uint64_t distance = address - segment.p_vaddr;
      if (distance < segment.p_filesz) return segment.p_offset + distance;
    }
    damaged("address " + std::to_string(address) + " is in no segment");
  }

 private:
  void require_range(std::uint64_t offset, std::uint64_t length, const std::string& what) const {
    if (in_range(offset, length, file_.size())) return;
    refuse("plugin.truncated", file_.path(),
           "is not complete: its " + what + " end at byte " +
               (checked_add(offset, length) ? std::to_string(offset + length) : "2^64") +
               ", the file has " + std::to_string(file_.size()),
           "copy or build the library again");
  }

  void read_header() {
    const Path& path = file_.path();
    const std::uint64_t size = file_.size();
    if (size == 0) refuse("plugin.not_elf", path, "is empty, expected a shared library");
    const std::string magic = file_.read_text(0, std::min<std::uint64_t>(size, EI_NIDENT));
    if (magic.compare(0, SELFMAG, ELFMAG) != 0) {
      refuse("plugin.not_elf", path, "is no shared library (no ELF header)");
    }
    require_range(0, sizeof header_, "ELF header");
    const auto ident = [&](int i) { return static_cast<unsigned char>(magic[std::size_t(i)]); };
    const bool same_class = ident(EI_CLASS) == kClass && ident(EI_DATA) == kData;
    file_.read(0, std::as_writable_bytes(std::span(&header_, 1)));
    const unsigned own = own_header().e_machine;
    if (!same_class || header_.e_machine != own) {
      const std::string found =
          same_class ? machine_name(header_.e_machine) : "another word size or byte order";
      refuse("plugin.wrong_arch", path, "is built for " + found + ", this is " + machine_name(own),
             "build the plugin on this machine");
    }
    if (header_.e_type != ET_DYN) {
      refuse("plugin.not_shared", path,
             "is " + std::string(type_name(header_.e_type)) + ", expected a shared library");
    }
    if (header_.e_phentsize != sizeof(Segment)) {
      damaged("its program headers have " + std::to_string(header_.e_phentsize) + " bytes each");
    }
  }

  void check_segments() const {
    bool loads = false;
    for (const Segment& segment : segments_) {
      if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) continue;
      require_range(segment.p_offset, segment.p_filesz, "segments");
      if (segment.p_type == PT_LOAD) loads = true;
      if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz) {
        damaged("a segment is larger in the file than in memory");
      }
    }
    if (!loads) damaged("it has nothing to load");
  }

  // Position-independent programs have the type of shared libraries; only this flag tells.
  bool is_program() const {
    const std::vector<Dynamic> entries = dynamic();
    return std::any_of(entries.begin(), entries.end(), [](const Dynamic& entry) {
      return entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_PIE) != 0;
    });
  }

  const InputFile& file_;
  Header header_{};
  std::vector<Segment> segments_;
};

std::string name_at(const ElfFile& elf, const std::string& names, std::uint64_t offset) {
  const std::size_t end = offset < names.size() ? names.find('\0', offset) : std::string::npos;
  if (end == std::string::npos) elf.damaged("a name is outside the table of names");
  return names.substr(offset, end - offset);
}

// The texts of the dynamic section with these tags, in order.
std::vector<std::string> dynamic_names(const ElfFile& elf, std::initializer_list<Tag> tags) {
  const std::vector<Dynamic> dynamic = elf.dynamic();
  const auto value = [&](auto tag) {
    std::optional<std::uint64_t> result;
    for (const Dynamic& entry : dynamic) {
      if (entry.d_tag == tag) result = entry.d_un.d_val;
    }
    if (!result) elf.damaged("its dynamic section is not complete");
    return *result;
  };
  const std::string names = elf.bytes(elf.offset_of(value(DT_STRTAB)), value(DT_STRSZ), "names");
  std::vector<std::string> result;
  for (const Dynamic& entry : dynamic) {
    if (std::ranges::count(tags, entry.d_tag) == 0) continue;
    result.push_back(name_at(elf, names, entry.d_un.d_val));
  }
  return result;
}

bool is_exported(const Symbol& symbol) {
  const unsigned binding = symbol.st_info >> 4;
  const unsigned visibility = symbol.st_other & 3u;
  return symbol.st_shndx != SHN_UNDEF && binding != STB_LOCAL && symbol.st_name != 0 &&
         (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

std::vector<std::string> exported_symbols(const ElfFile& elf) {
  const Header& header = elf.header();
  if (header.e_shentsize != sizeof(Section)) elf.damaged("it has no section headers");
  const auto sections =
      elf.table<Section>(header.e_shoff, header.e_shnum, kMaxSections, "section headers");
  std::vector<std::string> result;
  for (const Section& section : sections) {
    if (section.sh_type != SHT_DYNSYM) continue;
    if (section.sh_link >= sections.size()) elf.damaged("its symbols have no names");
    const Section& strings = sections[section.sh_link];
    const std::string names = elf.bytes(strings.sh_offset, strings.sh_size, "symbol names");
    for (const Symbol& symbol : elf.table<Symbol>(
             section.sh_offset, section.sh_size / sizeof(Symbol), kMaxSymbols, "symbols")) {
      if (is_exported(symbol)) result.push_back(name_at(elf, names, symbol.st_name));
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace

void check_elf(const Path& library) { check_elf(open_library(library)); }

void check_elf(const InputFile& library) { const ElfFile accepted(library); }

bool finds_by_origin(const InputFile& library) {
  const std::vector<std::string> places = dynamic_names(ElfFile(library), {DT_RPATH, DT_RUNPATH});
  return std::ranges::any_of(places, [](const std::string& place) {
    return place.find("$ORIGIN") != std::string::npos ||
           place.find("${ORIGIN}") != std::string::npos;
  });
}

ElfNames read_elf_names(const Path& library) {
  const InputFile file = open_library(library);
  const ElfFile elf(file);
  return {dynamic_names(elf, {DT_NEEDED}), exported_symbols(elf)};
}

}  // namespace craftbundle
