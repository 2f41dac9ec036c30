// SHA-256, as FIPS 180-4 defines it.
#pragma once

#include <cstddef>
#include <string>

namespace edgekit {

std::string sha256(const void* data, size_t bytes);  // in hexadecimal

}  // namespace edgekit
