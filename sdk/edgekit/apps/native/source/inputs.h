// What a person gives as inputs: raw values, .npy files or pictures; and many samples, run some at a time.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model.h"

namespace edgekit {

struct Given {
  std::string name;  // empty: the only input
  std::string path;
};

// Reads the inputs, in the manifest's order.
std::vector<Tensor> read_inputs(const Manifest& manifest, const std::vector<Given>& given);

// The inputs of a golden vector, or one of its outputs, digests checked.
Tensor read_golden(const std::string& folder, const GoldenTensor& golden);
std::vector<Tensor> golden_inputs(const std::string& folder, const Manifest& manifest, const Golden& golden);

// Runs samples, of which there may be more than the model takes at once; the outputs are joined.
std::vector<Tensor> run_samples(Model& model, const std::vector<Tensor>& inputs);

}  // namespace edgekit
