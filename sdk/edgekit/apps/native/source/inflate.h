// The inverse of zlib's compression, RFC 1950 and 1951.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgekit {

// Fails with EDGEKIT_INPUT where the data is damaged, or holds another number of bytes than wanted.
std::vector<uint8_t> inflate(const std::vector<uint8_t>& data, size_t wanted);

}  // namespace edgekit
