#include "native/core/archive/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "native/core/cancellation.h"
#include "native/core/error.h"

namespace dg {
namespace {

constexpr size_t kPieceBytes = 64 << 20;  // between two looks at whether anybody still waits for it

#ifdef _WIN32
using Status = struct _stat64;
int openForReading(const char* path) { return _open(path, _O_RDONLY | _O_BINARY); }
int statusOf(int descriptor, Status* status) { return _fstat64(descriptor, status); }
bool isRegular(const Status& status) { return (status.st_mode & _S_IFMT) == _S_IFREG; }
void closeFile(int descriptor) { _close(descriptor); }
std::mutex seeking;
int64_t readAt(int descriptor, void* buffer, size_t count, uint64_t position) {
  const std::lock_guard lock(seeking);
  if (_lseeki64(descriptor, static_cast<int64_t>(position), SEEK_SET) < 0) return -1;
  return _read(descriptor, buffer, static_cast<unsigned>(count));
}
#else
using Status = struct stat;
// O_NONBLOCK: a pipe in the file's place would wait for a writer.
int openForReading(const char* path) { return ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }
int statusOf(int descriptor, Status* status) { return ::fstat(descriptor, status); }
bool isRegular(const Status& status) { return S_ISREG(status.st_mode); }
void closeFile(int descriptor) { ::close(descriptor); }
int64_t readAt(int descriptor, void* buffer, size_t count, uint64_t position) {
  return ::pread(descriptor, buffer, count, static_cast<off_t>(position));
}
#endif

#if defined(_WIN32)
std::string times(const Status&) { return ""; }
#elif defined(__APPLE__)
std::string nanoseconds(const timespec& time) { return std::to_string(time.tv_sec * 1000000000LL + time.tv_nsec); }
std::string times(const Status& status) {
  return nanoseconds(status.st_mtimespec) + ":" + nanoseconds(status.st_ctimespec);
}
#else
std::string nanoseconds(const timespec& time) { return std::to_string(time.tv_sec * 1000000000LL + time.tv_nsec); }
std::string times(const Status& status) { return nanoseconds(status.st_mtim) + ":" + nanoseconds(status.st_ctim); }
#endif

Error unreadable(const std::string& path, const std::string& reason) {
  return Error("MODEL_UNREADABLE", path + " can not be read: " + reason + ".");
}

}  // namespace

ArchiveFile::ArchiveFile(std::string path, const std::string& identity) : path_(std::move(path)) {
  // The system would take what stands before it.
  if (path_.find('\0') != std::string::npos) throw Error("MODEL_UNREADABLE", "No file's path has a zero byte in it.");
  descriptor_ = openForReading(path_.c_str());
  if (descriptor_ < 0) throw unreadable(path_, std::strerror(errno));
  Status status;
  if (statusOf(descriptor_, &status) != 0 || !isRegular(status)) {
    closeFile(descriptor_);
    throw unreadable(path_, "it is no regular file");
  }
  size_ = static_cast<size_t>(status.st_size);
  opened_ = this->identity();
  if (!identity.empty() && identity != opened_) {
    closeFile(descriptor_);
    throw unreadable(path_, "it is no longer the file whose checksum was compared; open the bundle again");
  }
}

ArchiveFile::~ArchiveFile() { closeFile(descriptor_); }

void ArchiveFile::requireUnchanged() const {
  if (identity() != opened_) throw unreadable(path_, "it was written to while it was read");
}

size_t ArchiveFile::read(uint64_t position, void* buffer, size_t count, const char* /*what*/) const {
  for (size_t done = 0; done < count;) {
    requireNotCancelled();
    const auto piece = std::min(count - done, kPieceBytes);
    const auto count = readAt(descriptor_, static_cast<char*>(buffer) + done, piece, position + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw unreadable(path_, "it ends too early");
    done += static_cast<size_t>(count);
  }
  return count;
}

std::string ArchiveFile::identity() const {
  Status status;
  if (statusOf(descriptor_, &status) != 0) return "";
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + ":" + std::to_string(status.st_size) +
         ":" + times(status);
}

}  // namespace dg
