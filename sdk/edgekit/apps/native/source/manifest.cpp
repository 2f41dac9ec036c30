#include "manifest.h"

#include "failure.h"
#include "json.h"

namespace edgekit {

namespace {

constexpr int64_t kMost = int64_t{1} << 53;  // no reader of JSON keeps larger numbers whole
constexpr int kMostSide = 1 << 25;

[[noreturn]] void wrong(const std::string& what) { fail(EDGEKIT_DAMAGED, "the manifest breaks its schema: " + what); }

const std::string& one_of(const Json& json, std::initializer_list<const char*> allowed) {
  for (const char* one : allowed)
    if (json.text() == one) return json.text();
  wrong("there is no " + json.text());
}

// A path within the folder: no part of it begins with a dot.
const std::string& path_of(const Json& json) {
  const std::string& path = json.text();
  bool first = true;
  for (const char c : path) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!plain && (first || (c != '.' && c != '_' && c != '-' && c != '/'))) wrong("a path leads elsewhere");
    first = c == '/';
  }
  if (path.empty() || first || path.size() > 1000) wrong("a path leads elsewhere");
  return path;
}

std::vector<int64_t> sizes_of(const Json& json) {
  std::vector<int64_t> found;
  for (const Json& size : json.items()) found.push_back(size.whole(0, int64_t{1} << 31));
  if (found.size() > EDGEKIT_MOST_DIMENSIONS) wrong("a tensor has too many dimensions");
  return found;
}

TensorSpec spec_of(const Json& json) {
  TensorSpec found{json.at("name").text(), dtype_of(json.at("dtype").text()), {}, json.at("meaning").text()};
  for (const Json& size : json.at("shape").items())
    found.shape.push_back(size.is_text() ? Size(size.text()) : Size(size.whole(1, int64_t{1} << 31)));
  if (found.shape.size() > EDGEKIT_MOST_DIMENSIONS) wrong("a tensor has too many dimensions");
  return found;
}

Artifact artifact_of(const Json& json) {
  Artifact found{one_of(json.at("format"), {"pte", "onnx"}), path_of(json.at("file")), json.at("sha256").text(),
                 json.at("quantization").text(), 0, {}};
  const Json* planned = json.find("planned_bytes");
  if (planned != nullptr && !planned->is_null()) found.planned_bytes = planned->whole(0, kMost);
  for (const Json& batch : json.at("verified_batches").items()) found.batches.push_back(batch.whole(1, kMost));
  return found;
}

GoldenTensor golden_of(const Json& json, bool is_output) {
  GoldenTensor found{json.at("name").text(), path_of(json.at("file")), json.at("sha256").text(),
                     dtype_of(json.at("dtype").text()), sizes_of(json.at("shape")), {}, 0};
  if (is_output) {
    if (!json.at("artifact").is_null()) found.artifact = json.at("artifact").text();
    found.max_abs_error = json.at("max_abs_error").number();
  }
  return found;
}

Range range_of(const Json& json) {
  const Json* least = json.find("min");
  const Range found{least == nullptr || least->is_null() ? 1 : least->whole(1, int64_t{1} << 31),
                    json.at("max").whole(1, int64_t{1} << 31), json.at("multiple").whole(1, int64_t{1} << 31)};
  if (found.least > found.most) wrong("a dimension has no size");
  return found;
}

std::vector<double> channels_of(const Json& json, int channels, bool positive) {
  std::vector<double> found;
  for (const Json& one : json.items()) found.push_back(one.number());
  if (found.size() != 1 && found.size() != static_cast<size_t>(channels)) wrong("mean or std has too few values");
  for (const double one : found)
    if (positive && one <= 0) wrong("a standard deviation is none");
  found.resize(static_cast<size_t>(channels), found[0]);
  return found;
}

}  // namespace

Preprocessing preprocessing_of(const Json& json) {
  const Json& size = json.at("resize");
  const Json* shorter = size.find("shorter");
  Preprocessing found{};
  found.color = one_of(json.at("color"), {"grey", "rgb", "bgr"});
  found.layout = one_of(json.at("layout"), {"NCHW", "NHWC"});
  found.background = static_cast<int>(json.at("background").whole(0, 255));
  found.resize = {static_cast<int>(size.at("height").whole(1, kMostSide)),
                  static_cast<int>(size.at("width").whole(1, kMostSide)),
                  one_of(size.at("mode"), {"stretch", "cover", "shorter", "letterbox"}),
                  one_of(size.at("filter"), {"nearest", "bilinear", "bicubic"}),
                  shorter == nullptr || shorter->is_null() ? 0 : static_cast<int>(shorter->whole(1, kMostSide)),
                  static_cast<int>(size.at("pad").whole(0, 255)),
                  size.at("antialias").truth()};
  if ((found.resize.mode == "shorter") != (found.resize.shorter > 0)) wrong("shorter has no length");
  if (int64_t{found.resize.height} * found.resize.width > kMostSide) wrong("an input has too many pixels");
  found.scale = json.at("scale").number();
  found.mean = channels_of(json.at("mean"), found.channels(), false);
  found.std = channels_of(json.at("std"), found.channels(), true);
  found.in_graph = json.at("in_graph").truth();
  return found;
}

Manifest Manifest::parse(std::string_view text, const std::string& where) {
  const Json json = Json::parse(text, where);
  if (json.at("schema_version").whole(0, kMost) != 1) wrong("this runner reads version 1");
  Manifest found;
  found.model = json.at("model").at("name").text();
  found.parameters = json.at("model").at("parameters").whole(0, kMost);
  found.target = json.at("target").at("name").text();
  for (const Json& one : json.at("artifacts").items()) found.artifacts.push_back(artifact_of(one));
  for (const Json& one : json.at("inputs").items()) found.inputs.push_back(spec_of(one));
  for (const Json& one : json.at("outputs").items()) found.outputs.push_back(spec_of(one));
  for (const auto& [name, one] : json.at("ranges").members()) found.ranges[name] = range_of(one);
  if (const Json& steps = json.at("preprocessing"); !steps.is_null()) found.preprocessing = preprocessing_of(steps);
  for (const Json& one : json.at("labels").items()) found.labels.push_back(one.text());
  for (const Json& one : json.at("golden").items()) {
    Golden golden;
    for (const Json& tensor : one.at("inputs").items()) golden.inputs.push_back(golden_of(tensor, false));
    for (const Json& tensor : one.at("outputs").items()) golden.outputs.push_back(golden_of(tensor, true));
    found.golden.push_back(std::move(golden));
  }
  if (found.inputs.empty() || found.outputs.empty()) wrong("it has no inputs or no outputs");
  for (const TensorSpec& input : found.inputs)
    for (const Size& size : input.shape)
      if (const auto* name = std::get_if<std::string>(&size); name != nullptr && found.ranges.count(*name) == 0)
        wrong("nothing is known of the dimension " + *name);
  return found;
}

}  // namespace edgekit
