// Tensors in C order, and the file formats that hold them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgekit {

enum class DType { float32, float16, int64, int32, uint8, int8, boolean };

DType dtype_of(const std::string& name);  // fails with EDGEKIT_DAMAGED where it is none
const char* name_of(DType dtype);
size_t size_of(DType dtype);

struct Tensor {
  DType dtype = DType::float32;
  std::vector<int64_t> sizes;
  std::vector<uint8_t> bytes;

  double value(size_t index) const;
  size_t count() const { return bytes.size() / size_of(dtype); }
};

// The elements of a tensor; fails with EDGEKIT_INPUT where there are more than any memory has.
size_t count_of(const std::vector<int64_t>& sizes);
std::string told(const std::vector<int64_t>& sizes);  // "1 x 3 x 224 x 224"

// NumPy's .npy, versions 1 to 3, little-endian and in C order.
bool is_npy(const std::vector<uint8_t>& data);
Tensor read_npy(const std::vector<uint8_t>& data, const std::string& where);
std::vector<uint8_t> npy(const Tensor& tensor);

}  // namespace edgekit
