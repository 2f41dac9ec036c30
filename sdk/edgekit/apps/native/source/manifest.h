// What of manifest.json the runner uses; docs/bundle.md says what it means.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tensor.h"

namespace edgekit {

using Size = std::variant<int64_t, std::string>;  // a number, or the name of a dimension

struct TensorSpec {
  std::string name;
  DType dtype;
  std::vector<Size> shape;
  std::string meaning;
};

struct Range {
  int64_t least, most, multiple;
};

struct Resize {
  int height, width;
  std::string mode, filter;
  int shorter, pad;
  bool antialias;
};

struct Preprocessing {
  std::string color, layout;
  int background;
  Resize resize;
  double scale;
  std::vector<double> mean, std;
  bool in_graph;
  int channels() const { return color == "grey" ? 1 : 3; }
};

struct Artifact {
  std::string format, file, sha256, quantization;
  int64_t planned_bytes;               // 0: not known
  std::vector<int64_t> batches;        // sizes at which it was verified
};

struct GoldenTensor {
  std::string name, file, sha256;
  DType dtype;
  std::vector<int64_t> sizes;
  std::optional<std::string> artifact;  // of an output: whose; none: the reference's
  double max_abs_error;
};

struct Golden {
  std::vector<GoldenTensor> inputs, outputs;
};

struct Manifest {
  std::string model, target;
  int64_t parameters;
  std::vector<Artifact> artifacts;
  std::vector<TensorSpec> inputs, outputs;
  std::map<std::string, Range> ranges;
  std::optional<Preprocessing> preprocessing;
  std::vector<std::string> labels;
  std::vector<Golden> golden;

  // Fails with EDGEKIT_DAMAGED where the text is no manifest.
  static Manifest parse(std::string_view text, const std::string& where);
};

// The steps from a picture to an input, of the manifest's [preprocessing]; for tests as well.
class Json;
Preprocessing preprocessing_of(const Json& json);

}  // namespace edgekit
