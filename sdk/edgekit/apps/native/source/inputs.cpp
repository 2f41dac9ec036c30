#include "inputs.h"

#include <algorithm>

#include "failure.h"
#include "picture.h"
#include "preprocess.h"
#include "sha256.h"

namespace edgekit {

namespace {

constexpr size_t kLargestInput = size_t{1} << 34;

bool ends(const std::string& path, const std::string& ending) {
  return path.size() >= ending.size() && path.compare(path.size() - ending.size(), ending.size(), ending) == 0;
}

Tensor of_picture(const std::vector<uint8_t>& data, const std::string& path, const Manifest& manifest, const TensorSpec& spec) {
  if (!manifest.preprocessing || manifest.inputs.size() != 1)
    fail(EDGEKIT_INPUT, path + " is a picture, and " + manifest.model + " takes none: its manifest has no preprocessing");
  try {
    const Tensor found = preprocess(decode(data), *manifest.preprocessing);
    if (found.dtype != spec.dtype) fail(EDGEKIT_DAMAGED, "the manifest contradicts itself: a picture becomes no " + told(spec));
    return found;
  } catch (const Failure& failure) {
    fail(failure.status, path + ": " + failure.what());
  }
}

// Sounds and texts become inputs by steps that this program has not: it says who has them.
void refuse(const std::vector<uint8_t>& data, const std::string& path, const TensorSpec& spec) {
  const std::string head(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(data.size(), 12)));
  const std::string way = "; save what becomes of it, " + told(spec) + ", as .npy";
  if (head.size() == 12 && head.compare(0, 4, "RIFF") == 0 && head.compare(8, 4, "WAVE") == 0)
    fail(EDGEKIT_INPUT, path + " is a sound, and this program resamples none and computes no features: the manifest's audio says how" + way);
  if (ends(path, ".txt"))
    fail(EDGEKIT_INPUT, path + " is a text, and this program has no tokenizer: the library tokenizers reads the bundle's tokenizer.json" + way);
}

// Raw values tell their number alone, so that one size at most may vary.
Tensor of_raw(std::vector<uint8_t> data, const std::string& path, const TensorSpec& spec) {
  Tensor found{spec.dtype, {}, {}};
  size_t varying = spec.shape.size();
  for (const Size& size : spec.shape) {
    const auto* number = std::get_if<int64_t>(&size);
    if (number == nullptr && varying < spec.shape.size())
      fail(EDGEKIT_INPUT, path + " does not tell its shape, and " + told(spec) + " may have several; save it as .npy");
    if (number == nullptr) varying = found.sizes.size();
    found.sizes.push_back(number != nullptr ? *number : 1);
  }
  const size_t one = count_of(found.sizes) * size_of(spec.dtype);
  const bool many = varying < found.sizes.size() && data.size() > one;
  if (data.empty() || data.size() % one != 0 || (!many && data.size() != one))
    fail(EDGEKIT_INPUT, path + " has " + std::to_string(data.size()) + " bytes, and " + told(spec) + " takes " +
                            (varying < found.sizes.size() ? "a multiple of " : "") + std::to_string(one));
  if (many) found.sizes[varying] = static_cast<int64_t>(data.size() / one);
  found.bytes = std::move(data);
  return found;
}

Tensor read_input(const std::string& path, const Manifest& manifest, const TensorSpec& spec) {
  std::vector<uint8_t> data = read_file(path, EDGEKIT_INPUT, kLargestInput);
  const bool raw = ends(path, ".bin") || ends(path, ".raw");
  if (!raw && is_picture(data)) return of_picture(data, path, manifest, spec);
  if (!raw) refuse(data, path, spec);
  if (raw || !is_npy(data)) return of_raw(std::move(data), path, spec);
  Tensor found = read_npy(data, path);
  if (found.dtype != spec.dtype) fail(EDGEKIT_INPUT, path + " holds " + name_of(found.dtype) + ", and the model takes " + told(spec));
  return found;
}

View view_of(const Tensor& tensor) { return {tensor.dtype, tensor.sizes, tensor.bytes.data()}; }

// How many samples to run at once; 0: all, since they are not parted by their first dimension.
int64_t step_of(const Model& model, const std::vector<Tensor>& inputs) {
  const Manifest& manifest = model.manifest();
  for (size_t i = 0; i < inputs.size(); ++i)
    if (manifest.inputs[i].shape.empty() || manifest.inputs[i].shape[0] != manifest.inputs[0].shape[0] ||
        inputs[i].sizes.empty() || inputs[i].sizes[0] != inputs[0].sizes[0])
      return 0;
  const Size& first = manifest.inputs[0].shape[0];
  if (const auto* number = std::get_if<int64_t>(&first)) return *number;
  for (const TensorSpec& output : manifest.outputs)
    if (output.shape.empty() || output.shape[0] != first) return 0;
  const std::vector<int64_t>& sizes = model.artifact().batches;
  if (sizes.empty()) return manifest.ranges.at(std::get<std::string>(first)).most;
  // Samples of an ONNX batch that is quantized while it runs share a range.
  const std::string& scheme = model.artifact().quantization;
  const bool shared = model.artifact().format == "onnx" && (scheme == "int8-dynamic" || scheme == "8da4w");
  return shared ? *std::min_element(sizes.begin(), sizes.end()) : *std::max_element(sizes.begin(), sizes.end());
}

Tensor part_of(const Tensor& whole, int64_t start, int64_t count) {
  const size_t row = whole.bytes.size() / static_cast<size_t>(whole.sizes[0]);
  Tensor found{whole.dtype, whole.sizes, {}};
  found.sizes[0] = count;
  const auto from = whole.bytes.begin() + static_cast<std::ptrdiff_t>(row * static_cast<size_t>(start));
  found.bytes.assign(from, from + static_cast<std::ptrdiff_t>(row * static_cast<size_t>(count)));
  return found;
}

std::vector<Tensor> run_once(Model& model, const std::vector<Tensor>& inputs) {
  std::vector<View> views;
  for (const Tensor& input : inputs) views.push_back(view_of(input));
  return model.run(views);
}

}  // namespace

std::vector<Tensor> read_inputs(const Manifest& manifest, const std::vector<Given>& given) {
  for (const Given& one : given) {
    const bool known = std::any_of(manifest.inputs.begin(), manifest.inputs.end(),
                                   [&](const TensorSpec& spec) { return one.name.empty() || spec.name == one.name; });
    if (!known) fail(EDGEKIT_USAGE, "the model has no input " + one.name);
    if (one.name.empty() && manifest.inputs.size() > 1)
      fail(EDGEKIT_USAGE, "the model has several inputs: --input " + manifest.inputs[0].name + "=FILE names one");
  }
  std::vector<Tensor> found;
  for (const TensorSpec& spec : manifest.inputs) {
    const Given* chosen = nullptr;
    for (const Given& one : given)
      if (one.name.empty() || one.name == spec.name) chosen = &one;
    if (chosen == nullptr) fail(EDGEKIT_USAGE, "the input " + spec.name + " is missing: --input " + spec.name + "=FILE");
    found.push_back(read_input(chosen->path, manifest, spec));
  }
  return found;
}

Tensor read_golden(const std::string& folder, const GoldenTensor& golden) {
  const std::string path = folder + "/" + golden.file;
  Tensor found{golden.dtype, golden.sizes, read_file(path, EDGEKIT_DAMAGED, kLargestInput)};
  if (sha256(found.bytes.data(), found.bytes.size()) != golden.sha256)
    fail(EDGEKIT_DAMAGED, path + " was changed: its sha256 is not the manifest's");
  if (count_of(found.sizes) * size_of(found.dtype) != found.bytes.size())
    fail(EDGEKIT_DAMAGED, path + " has another size than its shape");
  return found;
}

std::vector<Tensor> golden_inputs(const std::string& folder, const Manifest& manifest, const Golden& golden) {
  std::vector<Tensor> found;
  for (const TensorSpec& spec : manifest.inputs) {
    const auto one = std::find_if(golden.inputs.begin(), golden.inputs.end(),
                                  [&](const GoldenTensor& tensor) { return tensor.name == spec.name; });
    if (one == golden.inputs.end()) fail(EDGEKIT_DAMAGED, "a golden vector lacks the input " + spec.name);
    found.push_back(read_golden(folder, *one));
  }
  return found;
}

std::vector<Tensor> run_samples(Model& model, const std::vector<Tensor>& inputs) {
  const int64_t step = step_of(model, inputs), count = step == 0 ? 0 : inputs[0].sizes[0];
  if (step == 0 || count <= step) return run_once(model, inputs);
  std::vector<Tensor> found;
  for (int64_t start = 0; start < count; start += step) {
    const int64_t rows = std::min(step, count - start);
    std::vector<Tensor> parts;
    for (const Tensor& input : inputs) parts.push_back(part_of(input, start, rows));
    std::vector<Tensor> outputs = run_once(model, parts);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].sizes.empty() || outputs[i].sizes[0] != rows)
        fail(EDGEKIT_DAMAGED, "the model gives another number of rows than it takes");
      if (start == 0) {
        found.push_back(std::move(outputs[i]));
        continue;
      }
      found[i].sizes[0] += rows;
      found[i].bytes.insert(found[i].bytes.end(), outputs[i].bytes.begin(), outputs[i].bytes.end());
    }
  }
  return found;
}

}  // namespace edgekit
