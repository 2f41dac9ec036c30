// Files of a folder: read whole, or seen in place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edgekit.h"

namespace edgekit {

// A file's bytes. Fails with a status of the caller's where it cannot be read, or is larger than allowed.
std::vector<uint8_t> read_file(const std::string& path, edgekit_status status, size_t most);
void write_file(const std::string& path, const std::vector<uint8_t>& data);

// A file's bytes in place; gone with the object.
class Mapped {
 public:
  Mapped(const std::string& path, edgekit_status status);
  ~Mapped();
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  const void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace edgekit
