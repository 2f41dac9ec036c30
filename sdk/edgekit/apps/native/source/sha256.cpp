#include "sha256.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace edgekit {

namespace {

uint32_t turned(uint32_t value, int by) { return (value >> by) | (value << (32 - by)); }

bool is_prime(int number) {
  for (int factor = 2; factor * factor <= number; ++factor)
    if (number % factor == 0) return false;
  return true;
}

// The first 32 bits of the fraction of a root, which the standard's constants are: exactly, in integers.
uint32_t fraction_of_root(uint64_t number, int degree) {
  // The largest r with r**degree <= number * 2**(32 * degree).
  unsigned __int128 found = 0;
  for (int bit = 36; bit >= 0; --bit) {
    const unsigned __int128 tried = found | (static_cast<unsigned __int128>(1) << bit);
    unsigned __int128 power = tried * tried;
    unsigned __int128 wanted = static_cast<unsigned __int128>(number) << 64;
    if (degree == 3) {
      power *= tried;
      wanted <<= 32;
    }
    if (power <= wanted) found = tried;
  }
  return static_cast<uint32_t>(found);
}

struct Constants {
  std::array<uint32_t, 64> rounds;
  std::array<uint32_t, 8> start;
  Constants() {
    size_t count = 0;
    for (int number = 2; count < rounds.size(); ++number) {
      if (!is_prime(number)) continue;
      if (count < start.size()) start[count] = fraction_of_root(static_cast<uint64_t>(number), 2);
      rounds[count++] = fraction_of_root(static_cast<uint64_t>(number), 3);
    }
  }
};

void block(std::array<uint32_t, 8>& state, const uint8_t* bytes, const std::array<uint32_t, 64>& rounds) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = static_cast<uint32_t>(bytes[4 * i]) << 24 | static_cast<uint32_t>(bytes[4 * i + 1]) << 16 |
           static_cast<uint32_t>(bytes[4 * i + 2]) << 8 | bytes[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    const uint32_t near = turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ (w[i - 15] >> 3);
    const uint32_t far = turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + near + w[i - 7] + far;
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t choice = (e & f) ^ (~e & g), majority = (a & b) ^ (a & c) ^ (b & c);
    const uint32_t one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + choice + rounds[i] + w[i];
    const uint32_t two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + majority;
    h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
  }
  const uint32_t added[8] = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state[i] += added[i];
}

}  // namespace

std::string sha256(const void* data, size_t bytes) {
  static const Constants constants;
  auto state = constants.start;
  const auto* place = static_cast<const uint8_t*>(data);
  size_t left = bytes;
  for (; left >= 64; place += 64, left -= 64) block(state, place, constants.rounds);
  uint8_t last[128] = {};
  if (left > 0) std::memcpy(last, place, left);
  last[left] = 0x80;
  const size_t padded = left < 56 ? 64 : 128;
  for (size_t i = 0; i < 8; ++i) last[padded - 1 - i] = static_cast<uint8_t>(static_cast<uint64_t>(bytes) * 8 >> (8 * i));
  for (size_t i = 0; i < padded; i += 64) block(state, last + i, constants.rounds);
  std::string found;
  for (uint32_t word : state)
    for (int shift = 28; shift >= 0; shift -= 4) found += "0123456789abcdef"[(word >> shift) & 15];
  return found;
}

}  // namespace edgekit
