#pragma once

#include <caffe2/serialize/read_adapter_interface.h>

#include <cstdint>
#include <string>

namespace dg {

// A file on the disk, opened once: what is checked and what is loaded are read through the same descriptor, so a file
// that takes its place meanwhile changes nothing. Reads of several threads do not disturb each other.
class ArchiveFile : public caffe2::serialize::ReadAdapterInterface {
 public:
  // `identity`: what the file was when somebody compared its checksum, as identity() says it; empty: nobody did.
  // Throws MODEL_UNREADABLE for what is missing, no regular file (a pipe, a device, a folder) or another file by now.
  ArchiveFile(std::string path, const std::string& identity);
  ~ArchiveFile() override;
  ArchiveFile(const ArchiveFile&) = delete;
  ArchiveFile& operator=(const ArchiveFile&) = delete;

  // Throws MODEL_UNREADABLE when somebody wrote to the file since it was opened.
  void requireUnchanged() const;

  const std::string& path() const { return path_; }
  size_t size() const override { return size_; }
  // Throws MODEL_UNREADABLE unless all of it can be read.
  size_t read(uint64_t position, void* buffer, size_t count, const char* what = "") const override;

 private:
  // Device, inode, size, times of change: numbers joined by colons, as lib/bundle/file.ts writes them.
  std::string identity() const;

  std::string path_;
  int descriptor_ = -1;
  size_t size_ = 0;
  std::string opened_;
};

}  // namespace dg
