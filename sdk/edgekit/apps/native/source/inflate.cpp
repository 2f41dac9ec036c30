#include "inflate.h"

#include <algorithm>
#include <array>

#include "failure.h"

namespace edgekit {

namespace {

[[noreturn]] void damaged() { fail(EDGEKIT_INPUT, "the picture's compressed data is damaged"); }

constexpr int kLongest = 15;

// A canonical Huffman code: how many codes there are of each length, and the symbols in the order of their codes.
struct Code {
  std::array<uint16_t, kLongest + 1> counts{};
  std::array<uint16_t, 288> symbols{};

  Code(const uint8_t* lengths, size_t count) {
    for (size_t i = 0; i < count; ++i) ++counts[lengths[i]];
    counts[0] = 0;
    int left = 1;
    for (int length = 1; length <= kLongest; ++length) {
      left = left * 2 - counts[static_cast<size_t>(length)];
      if (left < 0) damaged();  // more codes than there is room for
    }
    std::array<uint16_t, kLongest + 2> offsets{};
    for (size_t length = 1; length <= kLongest; ++length)
      offsets[length + 1] = static_cast<uint16_t>(offsets[length] + counts[length]);
    for (size_t i = 0; i < count; ++i)
      if (lengths[i]) symbols[offsets[lengths[i]]++] = static_cast<uint16_t>(i);
  }
};

class Stream {
 public:
  Stream(const std::vector<uint8_t>& data, size_t wanted) : data_(data), wanted_(wanted) { found_.reserve(wanted); }

  std::vector<uint8_t> read() {
    if (data_.size() < 6 || (data_[0] & 15) != 8 || (data_[0] * 256 + data_[1]) % 31 != 0 || (data_[1] & 32)) damaged();
    place_ = 2;
    bool last = false;
    while (!last) {
      last = bits(1) != 0;
      switch (bits(2)) {
        case 0: stored(); break;
        case 1: fixed(); break;
        case 2: dynamic(); break;
        default: damaged();
      }
    }
    if (found_.size() != wanted_ || data_.size() - place_ < 4) damaged();
    uint32_t expected = 0;
    for (int i = 0; i < 4; ++i) expected = expected << 8 | data_[place_++];
    if (expected != adler()) damaged();
    return std::move(found_);
  }

 private:
  uint32_t bits(int count) {
    while (held_ < count) {
      if (place_ >= data_.size()) damaged();
      hold_ |= static_cast<uint32_t>(data_[place_++]) << held_;
      held_ += 8;
    }
    const uint32_t found = hold_ & ((1u << count) - 1);
    hold_ >>= count;
    held_ -= count;
    return found;
  }

  void add(uint8_t byte) {
    if (found_.size() >= wanted_) damaged();
    found_.push_back(byte);
  }

  void stored() {
    hold_ = 0;
    held_ = 0;
    if (data_.size() - place_ < 4) damaged();
    const size_t length = data_[place_] | static_cast<size_t>(data_[place_ + 1]) << 8;
    const size_t check = data_[place_ + 2] | static_cast<size_t>(data_[place_ + 3]) << 8;
    place_ += 4;
    if (length != (check ^ 0xffff) || data_.size() - place_ < length || wanted_ - found_.size() < length) damaged();
    const auto start = data_.begin() + static_cast<std::ptrdiff_t>(place_);
    found_.insert(found_.end(), start, start + static_cast<std::ptrdiff_t>(length));
    place_ += length;
  }

  uint16_t symbol(const Code& code) {
    int value = 0, first = 0, index = 0;
    for (size_t length = 1; length <= kLongest; ++length) {
      value |= static_cast<int>(bits(1));
      const int count = code.counts[length];
      if (value - count < first) return code.symbols[static_cast<size_t>(index + value - first)];
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    damaged();
  }

  void compressed(const Code& lengths, const Code& distances) {
    static constexpr uint16_t kBase[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                         31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static constexpr uint8_t kMore[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    while (true) {
      const uint16_t found = symbol(lengths);
      if (found == 256) return;
      if (found < 256) {
        add(static_cast<uint8_t>(found));
        continue;
      }
      const size_t kind = found - 257u;
      if (kind >= 29) damaged();
      const size_t length = kBase[kind] + bits(kMore[kind]);
      const uint16_t far = symbol(distances);
      if (far >= 30) damaged();
      const int more = far < 4 ? 0 : (far - 2) / 2;
      const size_t base = far < 4 ? far + 1u : ((2u + (far & 1u)) << more) + 1u;
      const size_t distance = base + bits(more);
      if (distance > found_.size() || wanted_ - found_.size() < length) damaged();
      for (size_t i = 0; i < length; ++i) found_.push_back(found_[found_.size() - distance]);
    }
  }

  void fixed() {
    std::array<uint8_t, 288> lengths{};
    for (size_t i = 0; i < 288; ++i) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    std::array<uint8_t, 30> distances{};
    distances.fill(5);
    compressed(Code(lengths.data(), 288), Code(distances.data(), 30));
  }

  void dynamic() {
    static constexpr uint8_t kOrder[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    const size_t literal = bits(5) + 257, distance = bits(5) + 1, given = bits(4) + 4;
    if (literal > 286 || distance > 30) damaged();
    std::array<uint8_t, 320> lengths{};
    for (size_t i = 0; i < given; ++i) lengths[kOrder[i]] = static_cast<uint8_t>(bits(3));
    const Code code(lengths.data(), 19);
    lengths.fill(0);
    for (size_t i = 0; i < literal + distance;) {
      const uint16_t found = symbol(code);
      if (found < 16) {
        lengths[i++] = static_cast<uint8_t>(found);
        continue;
      }
      if (found == 16 && i == 0) damaged();
      const uint8_t repeated = found == 16 ? lengths[i - 1] : 0;
      const size_t times = found == 16 ? 3 + bits(2) : found == 17 ? 3 + bits(3) : 11 + bits(7);
      if (i + times > literal + distance) damaged();
      for (size_t k = 0; k < times; ++k) lengths[i++] = repeated;
    }
    if (lengths[256] == 0) damaged();
    compressed(Code(lengths.data(), literal), Code(lengths.data() + literal, distance));
  }

  uint32_t adler() const {
    uint32_t a = 1, b = 0;
    for (size_t start = 0; start < found_.size(); start += 5552) {
      const size_t end = std::min(start + 5552, found_.size());
      for (size_t i = start; i < end; ++i) b += a += found_[i];
      a %= 65521;
      b %= 65521;
    }
    return b << 16 | a;
  }

  const std::vector<uint8_t>& data_;
  size_t wanted_, place_ = 0;
  uint32_t hold_ = 0;
  int held_ = 0;
  std::vector<uint8_t> found_;
};

}  // namespace

std::vector<uint8_t> inflate(const std::vector<uint8_t>& data, size_t wanted) { return Stream(data, wanted).read(); }

}  // namespace edgekit
