#include "native/core/archive/directory.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <string_view>
#include <unordered_set>

#include "native/core/archive/refuse.h"

namespace dg {
namespace {

constexpr uint32_t kEntry = 0x02014b50, kLocal = 0x04034b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr size_t kEntryBytes = 46, kLocalBytes = 30, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint64_t kMost32 = 0xffffffff;

// The largest models have some thousand tensors and a few megabytes of program.
constexpr uint64_t kMostRecords = 100'000;
constexpr uint64_t kMostDirectoryBytes = 64 << 20;
constexpr uint64_t kMostProgramBytes = 64 << 20;  // of all code and pickles together, inflated
constexpr size_t kMostNameBytes = 1024;

// Little-endian numbers of a piece of the file.
class Bytes {
 public:
  Bytes(const ArchiveFile& file, uint64_t begin, uint64_t count) : data_(count) {
    if (begin > file.size() || count > file.size() - begin) refuse("it is cut short");
    file.read(begin, data_.data(), count);
  }

  uint64_t number(size_t at, size_t bytes) const {
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(data_.at(at + i));
    return value;
  }
  uint64_t u16(size_t at) const { return number(at, 2); }
  uint64_t u32(size_t at) const { return number(at, 4); }
  uint64_t u64(size_t at) const { return number(at, 8); }
  std::string text(size_t at, size_t bytes) const {
    if (at > data_.size() || bytes > data_.size() - at) refuse("its directory is damaged");
    return {data_.data() + at, bytes};
  }
  size_t size() const { return data_.size(); }

 private:
  std::vector<char> data_;
};

struct Extent {
  uint64_t begin = 0, bytes = 0, entries = 0;
};

// Where the directory lies. Nothing may follow it but its own end.
Extent findDirectory(const ArchiveFile& file) {
  if (file.size() < kEndBytes) refuse("it is no archive");
  const uint64_t endAt = file.size() - kEndBytes;
  const Bytes end(file, endAt, kEndBytes);
  if (end.u32(0) != kEnd || end.u16(20) != 0) refuse("it is no archive, or cut short");
  if (end.u16(4) != 0 || end.u16(6) != 0 || end.u16(8) != end.u16(10)) refuse("it is a part of a larger archive");
  Extent extent{end.u32(16), end.u32(12), end.u16(10)};
  uint64_t directoryEnd = endAt;
  if (endAt >= kLocator64Bytes + kEnd64Bytes) {
    const Bytes locator(file, endAt - kLocator64Bytes, kLocator64Bytes);
    if (locator.u32(0) == kLocator64) {
      directoryEnd = endAt - kLocator64Bytes - kEnd64Bytes;
      const Bytes end64(file, directoryEnd, kEnd64Bytes);
      if (locator.u64(8) != directoryEnd || end64.u32(0) != kEnd64 || end64.u64(4) != kEnd64Bytes - 12 ||
          end64.u32(16) != 0 || end64.u32(20) != 0 || end64.u64(24) != end64.u64(32)) {
        refuse("its directory is damaged");
      }
      extent = {end64.u64(48), end64.u64(40), end64.u64(32)};
    }
  }
  if (extent.entries > kMostRecords || extent.bytes > kMostDirectoryBytes) refuse("it has too many records");
  if (extent.begin > directoryEnd || extent.bytes != directoryEnd - extent.begin) refuse("its directory is damaged");
  return extent;
}

bool isDigits(std::string_view text) {
  return !text.empty() && text.size() < 12 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

bool startsWith(std::string_view text, std::string_view begin) { return text.substr(0, begin.size()) == begin; }

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// "__torch__/a/b.py": names of Python modules.
bool isModulePath(std::string_view path) {
  bool begins = true;
  for (const unsigned char c : path) {
    const bool fits = std::isalpha(c) || c == '_' || (!begins && (std::isdigit(c) || c == '/'));
    if (!fits) return false;
    begins = c == '/';
  }
  return !path.empty() && !begins;
}

enum class RecordKind { program, tensor, other, unknown };

RecordKind kindOf(std::string_view name) {
  constexpr std::array<std::string_view, 6> small{"version",   ".data/version",   ".data/serialization_id",
                                                  "byteorder", ".format_version", ".storage_alignment"};
  if (std::find(small.begin(), small.end(), name) != small.end()) return RecordKind::program;
  if (name == "data.pkl" || name == "constants.pkl") return RecordKind::program;
  for (const std::string_view folder : {"data/", "constants/", "traced_inputs/"}) {
    if (startsWith(name, folder) && isDigits(name.substr(folder.size()))) return RecordKind::tensor;
  }
  if (startsWith(name, "code/")) {
    if (endsWith(name, ".py") && isModulePath(name.substr(5, name.size() - 8))) return RecordKind::program;
    // For error messages; not read.
    if (endsWith(name, ".py.debug_pkl") && isModulePath(name.substr(5, name.size() - 18))) return RecordKind::other;
  }
  if (name == "traced_inputs.pkl" || (startsWith(name, "extra/") && name.size() > 6)) return RecordKind::other;
  return RecordKind::unknown;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// One entry of the directory; `sizes` of the extra field stand in for numbers that need more than 32 bits.
struct Entry {
  std::string name;
  uint64_t stored = 0, size = 0, local = 0, method = 0;
};

Entry readEntry(const Bytes& directory, size_t& at) {
  if (at + kEntryBytes > directory.size() || directory.u32(at) != kEntry) refuse("its directory is damaged");
  const auto flags = directory.u16(at + 8);
  const auto nameBytes = directory.u16(at + 28), extraBytes = directory.u16(at + 30);
  if ((flags & ~uint64_t{0x808}) != 0 || directory.u16(at + 32) != 0 || directory.u16(at + 34) != 0) {
    refuse("its directory has an entry of another kind than torch.jit.save writes");
  }
  if (nameBytes == 0 || nameBytes > kMostNameBytes) refuse("a record's name is too long");
  Entry entry{directory.text(at + kEntryBytes, nameBytes), directory.u32(at + 20), directory.u32(at + 24),
              directory.u32(at + 42), directory.u16(at + 10)};
  const size_t extra = at + kEntryBytes + nameBytes, extraEnd = extra + extraBytes;
  if (extraEnd > directory.size()) refuse("its directory is damaged");
  bool known = entry.size != kMost32 && entry.stored != kMost32 && entry.local != kMost32;
  for (size_t field = extra; field + 4 <= extraEnd && !known;) {
    const auto bytes = directory.u16(field + 2);
    size_t value = field + 4;
    if (value + bytes > extraEnd) refuse("its directory is damaged");
    if (directory.u16(field) == 1) {
      for (uint64_t* number : {&entry.size, &entry.stored, &entry.local}) {
        if (*number != kMost32) continue;
        if (value + 8 > field + 4 + bytes) refuse("its directory is damaged");
        *number = directory.u64(value);
        value += 8;
      }
      known = true;
    }
    field += 4 + bytes;
  }
  if (!known) refuse("its directory is damaged");
  at = extraEnd;
  return entry;
}

// Where the bytes begin: behind the record's own header, which has to say the same as the directory.
uint64_t findBytes(const ArchiveFile& file, const Entry& entry, uint64_t limit) {
  if (entry.local > limit || limit - entry.local < kLocalBytes + entry.name.size()) refuse("its directory is damaged");
  const Bytes local(file, entry.local, kLocalBytes + entry.name.size());
  if (local.u32(0) != kLocal || local.u16(8) != entry.method || local.u16(26) != entry.name.size() ||
      local.text(kLocalBytes, entry.name.size()) != entry.name) {
    refuse("the record " + entry.name + " is not where the directory says");
  }
  const uint64_t begin = entry.local + kLocalBytes + entry.name.size() + local.u16(28);
  if (begin > limit || entry.stored > limit - begin) refuse("the record " + entry.name + " is cut short");
  return begin;
}

}  // namespace

std::vector<Record> readDirectory(const ArchiveFile& file) {
  const auto extent = findDirectory(file);
  const Bytes directory(file, extent.begin, extent.bytes);
  std::vector<Record> records;
  std::unordered_set<std::string> names;
  std::vector<std::pair<uint64_t, uint64_t>> extents;
  std::string folder;
  uint64_t program = 0;
  size_t at = 0;
  for (uint64_t i = 0; i < extent.entries; ++i) {
    const auto entry = readEntry(directory, at);
    if (folder.empty()) folder = entry.name.substr(0, entry.name.find('/') + 1);
    if (folder.size() < 2 || !startsWith(entry.name, folder)) refuse("its records do not lie in one folder");
    Record record{entry.name.substr(folder.size()), entry.size, 0, entry.method != 0};
    const auto kind = kindOf(record.name);
    if (kind == RecordKind::unknown) refuse("it has a record that torch.jit.save does not write: " + record.name);
    if (!names.insert(lower(record.name)).second) refuse("it has two records called " + record.name);
    if (entry.method != 0 && (entry.method != 8 || kind == RecordKind::tensor)) {
      refuse("the record " + record.name + " is compressed, which torch.jit.save does not do");
    }
    if (entry.method == 0 && entry.stored != entry.size) refuse("the record " + record.name + " has two sizes");
    if (kind == RecordKind::program && (program += entry.size) > kMostProgramBytes) {
      refuse("its program is larger than " + std::to_string(kMostProgramBytes >> 20) + " MB");
    }
    record.begin = findBytes(file, entry, extent.begin);
    extents.emplace_back(entry.local, record.begin + entry.stored);
    records.push_back(std::move(record));
  }
  if (at != directory.size()) refuse("its directory is damaged");
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) refuse("its records overlap");
  }
  return records;
}

}  // namespace dg
