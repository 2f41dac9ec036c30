#include "tensor.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "failure.h"

namespace edgekit {

namespace {

struct Known {
  DType dtype;
  const char* name;
  const char* npy;  // what .npy files call it
  size_t size;
};

constexpr Known kKnown[] = {
    {DType::float32, "float32", "<f4", 4}, {DType::float16, "float16", "<f2", 2}, {DType::int64, "int64", "<i8", 8},
    {DType::int32, "int32", "<i4", 4},     {DType::uint8, "uint8", "|u1", 1},     {DType::int8, "int8", "|i1", 1},
    {DType::boolean, "bool", "|b1", 1},
};

const Known& known(DType dtype) {
  for (const Known& one : kKnown)
    if (one.dtype == dtype) return one;
  return kKnown[0];
}

constexpr char kMagic[] = "\x93NUMPY";

template <typename T>
T at(const std::vector<uint8_t>& bytes, size_t index) {
  T found;
  std::memcpy(&found, bytes.data() + index * sizeof(T), sizeof(T));
  return found;
}

double from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

// What follows a key in the header of an .npy, up to but without a character.
std::string field(const std::string& header, const std::string& key, const std::string& start, char end,
                  const std::string& where) {
  const size_t named = header.find("'" + key + "':");
  const size_t first = named == std::string::npos ? named : header.find(start, named + key.size() + 3);
  const size_t last = first == std::string::npos ? first : header.find(end, first + start.size());
  if (last == std::string::npos) fail(EDGEKIT_INPUT, where + " is a damaged .npy: its header lacks " + key);
  return header.substr(first + start.size(), last - first - start.size());
}

}  // namespace

DType dtype_of(const std::string& name) {
  for (const Known& one : kKnown)
    if (name == one.name) return one.dtype;
  fail(EDGEKIT_DAMAGED, "the manifest breaks its schema: there is no type " + name);
}

const char* name_of(DType dtype) { return known(dtype).name; }
size_t size_of(DType dtype) { return known(dtype).size; }

double Tensor::value(size_t index) const {
  switch (dtype) {
    case DType::float32: return at<float>(bytes, index);
    case DType::float16: return from_half(at<uint16_t>(bytes, index));
    case DType::int64: return static_cast<double>(at<int64_t>(bytes, index));
    case DType::int32: return at<int32_t>(bytes, index);
    case DType::int8: return at<int8_t>(bytes, index);
    case DType::uint8: case DType::boolean: return bytes[index];
  }
  return 0;
}

size_t count_of(const std::vector<int64_t>& sizes) {
  size_t found = 1;
  for (int64_t size : sizes)
    if (size < 0 || __builtin_mul_overflow(found, static_cast<size_t>(size), &found) || found > SIZE_MAX / 16)
      fail(EDGEKIT_INPUT, "no memory holds " + told(sizes) + " values");
  return found;
}

std::string told(const std::vector<int64_t>& sizes) {
  std::string found;
  for (int64_t size : sizes) found += (found.empty() ? "" : " x ") + std::to_string(size);
  return found.empty() ? "one value" : found;
}

bool is_npy(const std::vector<uint8_t>& data) { return data.size() >= 10 && !std::memcmp(data.data(), kMagic, 6); }

Tensor read_npy(const std::vector<uint8_t>& data, const std::string& where) {
  const size_t before = data[6] == 1 ? 10 : 12;
  if (data[6] < 1 || data[6] > 3 || data.size() < before) fail(EDGEKIT_INPUT, where + " is a damaged .npy");
  const size_t length = before == 10 ? at<uint16_t>({data.begin() + 8, data.begin() + 10}, 0)
                                     : at<uint32_t>({data.begin() + 8, data.begin() + 12}, 0);
  if (length > data.size() - before) fail(EDGEKIT_INPUT, where + " is a damaged .npy: it ends early");
  const std::string header(data.begin() + static_cast<std::ptrdiff_t>(before),
                           data.begin() + static_cast<std::ptrdiff_t>(before + length));
  const std::string type = field(header, "descr", "'", '\'', where);
  if (field(header, "fortran_order", " ", ',', where) != "False")
    fail(EDGEKIT_INPUT, where + " is in Fortran's order; save numpy.ascontiguousarray(x)");
  Tensor found;
  const Known* kind = nullptr;
  for (const Known& one : kKnown)
    if (type == one.npy) kind = &one;
  if (kind == nullptr) fail(EDGEKIT_INPUT, where + " holds values of type " + type + ", which no model takes");
  found.dtype = kind->dtype;
  const std::string shape = field(header, "shape", "(", ')', where);
  for (size_t place = 0; place < shape.size();) {
    if (shape[place] == ' ' || shape[place] == ',') {
      ++place;
      continue;
    }
    int64_t size = 0;
    const auto [end, error] = std::from_chars(shape.data() + place, shape.data() + shape.size(), size);
    if (error != std::errc() || size < 0) fail(EDGEKIT_INPUT, where + " is a damaged .npy: its shape is none");
    found.sizes.push_back(size);
    place = static_cast<size_t>(end - shape.data());
  }
  const size_t wanted = count_of(found.sizes) * kind->size;
  if (data.size() - before - length != wanted)
    fail(EDGEKIT_INPUT, where + " is a damaged .npy: " + told(found.sizes) + " of " + kind->name + " are " +
                            std::to_string(wanted) + " bytes, and it has " +
                            std::to_string(data.size() - before - length));
  found.bytes.assign(data.begin() + static_cast<std::ptrdiff_t>(before + length), data.end());
  return found;
}

std::vector<uint8_t> npy(const Tensor& tensor) {
  std::string shape;
  for (int64_t size : tensor.sizes) shape += std::to_string(size) + ", ";
  if (tensor.sizes.size() > 1) shape.resize(shape.size() - 2);
  if (tensor.sizes.size() == 1) shape.pop_back();
  std::string header = std::string("{'descr': '") + known(tensor.dtype).npy +
                       "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::vector<uint8_t> found(kMagic, kMagic + 6);
  const auto length = static_cast<uint16_t>(header.size());
  for (const int byte : {1, 0, length & 255, length >> 8}) found.push_back(static_cast<uint8_t>(byte));
  found.insert(found.end(), header.begin(), header.end());
  found.insert(found.end(), tensor.bytes.begin(), tensor.bytes.end());
  return found;
}

}  // namespace edgekit
