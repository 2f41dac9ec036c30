#include "model.h"

#include "failure.h"
#include "sha256.h"

namespace edgekit {

namespace {

constexpr size_t kLargestManifest = size_t{1} << 28;

Manifest manifest_in(const std::string& folder) {
  const std::string path = folder + "/manifest.json";
  const std::vector<uint8_t> text = read_file(path, EDGEKIT_DAMAGED, kLargestManifest);
  return Manifest::parse({reinterpret_cast<const char*>(text.data()), text.size()}, path);
}

const Artifact* artifact_in(const Manifest& manifest) {
  for (const Artifact& one : manifest.artifacts)
    if (one.format == engine_format()) return &one;
  fail(EDGEKIT_DAMAGED, std::string("the manifest names no .") + engine_format() + ", which this runner reads");
}

// Fails where the sizes of an input are not those of its specification; the sizes of names are kept.
void check(const TensorSpec& spec, const View& view, const Manifest& manifest, std::map<std::string, int64_t>& seen) {
  const std::string given = std::string(name_of(view.dtype)) + " of " + told(view.sizes) + " given";
  if (view.dtype != spec.dtype || view.sizes.size() != spec.shape.size()) fail(EDGEKIT_INPUT, told(spec) + ": " + given);
  for (size_t i = 0; i < spec.shape.size(); ++i) {
    const int64_t size = view.sizes[i];
    if (const auto* number = std::get_if<int64_t>(&spec.shape[i])) {
      if (size != *number) fail(EDGEKIT_INPUT, told(spec) + ": " + given);
      continue;
    }
    const std::string& name = std::get<std::string>(spec.shape[i]);
    const Range& range = manifest.ranges.at(name);
    const auto [known, fresh] = seen.emplace(name, size);
    if (!fresh && known->second != size)
      fail(EDGEKIT_INPUT, name + " is " + std::to_string(known->second) + " in one input and " + std::to_string(size) + " in another");
    if (size < range.least || size > range.most || size % range.multiple != 0)
      fail(EDGEKIT_INPUT, name + " is " + std::to_string(size) + " and may be " + std::to_string(range.least) + " to " +
                              std::to_string(range.most) + " in steps of " + std::to_string(range.multiple));
  }
}

}  // namespace

std::string told(const TensorSpec& spec) {
  std::string shape;
  for (const Size& size : spec.shape) {
    const auto* name = std::get_if<std::string>(&size);
    shape += (shape.empty() ? "" : " x ") + (name != nullptr ? *name : std::to_string(std::get<int64_t>(size)));
  }
  return spec.name + ", " + name_of(spec.dtype) + " of " + (shape.empty() ? "one value" : shape);
}

Model::Model(const std::string& folder, const std::string* trace) : manifest_(manifest_in(folder)), artifact_(artifact_in(manifest_)) {
  const std::string path = folder + "/" + artifact_->file;
  file_ = std::make_unique<Mapped>(path, EDGEKIT_DAMAGED);
  start(file_->data(), file_->size(), path, trace);
}

Model::Model(std::string_view manifest, const void* data, size_t bytes)
    : manifest_(Manifest::parse(manifest, "the manifest")), artifact_(artifact_in(manifest_)) {
  start(data, bytes, "the model in memory", nullptr);
}

void Model::start(const void* data, size_t bytes, const std::string& where, const std::string* trace) {
  if (sha256(data, bytes) != artifact_->sha256) fail(EDGEKIT_DAMAGED, where + " was changed: its sha256 is not the manifest's");
  engine_ = open_engine(data, bytes, manifest_, trace);
}

std::vector<Tensor> Model::run(const std::vector<View>& inputs) {
  if (inputs.size() != manifest_.inputs.size())
    fail(EDGEKIT_INPUT, std::to_string(inputs.size()) + " inputs given, and the model takes " + std::to_string(manifest_.inputs.size()));
  std::map<std::string, int64_t> seen;
  for (size_t i = 0; i < inputs.size(); ++i) check(manifest_.inputs[i], inputs[i], manifest_, seen);
  return engine_->run(inputs);
}

}  // namespace edgekit
