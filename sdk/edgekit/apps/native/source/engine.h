// A runtime that computes an artifact. One of them is compiled in: engine_pte.cpp or engine_onnx.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "manifest.h"

namespace edgekit {

// What goes in: a tensor of the caller's.
struct View {
  DType dtype;
  std::vector<int64_t> sizes;
  const void* data;
};

// What an operation took in each of the runs that were traced, as the runtime itself tells it.
struct Operation {
  std::string name, kind;
  std::vector<double> ms;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Computes the outputs, in the manifest's order; the inputs have been checked.
  virtual std::vector<Tensor> run(const std::vector<View>& inputs) = 0;

  // Ends tracing, and returns the operations in the order of running; none unless the engine was opened with tracing.
  virtual std::vector<Operation> traced() = 0;
};

// The format that this runner's engine reads, and the runtime's name.
const char* engine_format();
const char* engine_name();

// Loads an artifact whose bytes stay where they are. Fails with EDGEKIT_DAMAGED, EDGEKIT_KERNEL or EDGEKIT_RUN. Tracing
// slows it: `trace` is a folder for files that the runtime writes meanwhile, or nullptr.
std::unique_ptr<Engine> open_engine(const void* data, size_t size, const Manifest& manifest, const std::string* trace = nullptr);

}  // namespace edgekit
