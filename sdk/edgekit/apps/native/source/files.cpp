#include "files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "failure.h"

namespace edgekit {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int operator*() const { return number_; }

 private:
  int number_;
};

[[noreturn]] void unreadable(const std::string& path, edgekit_status status) {
  fail(status, path + " cannot be read: " + std::strerror(errno));
}

}  // namespace

std::vector<uint8_t> read_file(const std::string& path, edgekit_status status, size_t most) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (*file < 0) unreadable(path, status);
  std::vector<uint8_t> found;
  struct stat facts {};
  if (fstat(*file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > 0 &&
      static_cast<uint64_t>(facts.st_size) <= most)
    found.reserve(static_cast<size_t>(facts.st_size) + 1);
  while (true) {
    const size_t have = found.size();
    if (have > most) fail(status, path + " has more than the " + std::to_string(most) + " bytes that it may have");
    found.resize(have + std::max<size_t>(std::min<size_t>(found.capacity() - have, size_t{1} << 24), 65536));
    const ssize_t got = read(*file, found.data() + have, found.size() - have);
    if (got < 0) unreadable(path, status);
    found.resize(have + static_cast<size_t>(got));
    if (got == 0) return found;
  }
}

void write_file(const std::string& path, const std::vector<uint8_t>& data) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  size_t done = 0;
  while (*file >= 0 && done < data.size()) {
    const ssize_t written = write(*file, data.data() + done, data.size() - done);
    if (written < 0) break;
    done += static_cast<size_t>(written);
  }
  if (*file < 0 || done < data.size()) fail(EDGEKIT_OTHER, path + " cannot be written: " + std::strerror(errno));
}

Mapped::Mapped(const std::string& path, edgekit_status status) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (*file < 0 || fstat(*file, &facts) != 0) unreadable(path, status);
  if (!S_ISREG(facts.st_mode) || facts.st_size == 0) fail(status, path + " is no file, or empty");
  size_ = static_cast<size_t>(facts.st_size);
  data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, *file, 0);
  if (data_ == MAP_FAILED) unreadable(path, status);
}

Mapped::~Mapped() { munmap(data_, size_); }

}  // namespace edgekit
