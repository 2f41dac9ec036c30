// A runtime that computes an artifact. One of them is compiled in: engine_pte.cpp or engine_onnx.cpp.
#pragma once

#include <memory>
#include <vector>

#include "manifest.h"

namespace edgekit {

// What goes in: a tensor of the caller's.
struct View {
  DType dtype;
  std::vector<int64_t> sizes;
  const void* data;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Computes the outputs, in the manifest's order; the inputs have been checked.
  virtual std::vector<Tensor> run(const std::vector<View>& inputs) = 0;
};

// The format that this runner's engine reads, and the runtime's name.
const char* engine_format();
const char* engine_name();

// Loads an artifact whose bytes stay where they are. Fails with EDGEKIT_DAMAGED, EDGEKIT_KERNEL or EDGEKIT_RUN.
std::unique_ptr<Engine> open_engine(const void* data, size_t size, const Manifest& manifest);

}  // namespace edgekit
