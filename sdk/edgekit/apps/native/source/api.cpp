// The functions of edgekit.h, over Model.
#include <algorithm>
#include <cstring>

#include "edgekit.h"
#include "failure.h"
#include "model.h"
#include "preprocess.h"

struct edgekit_model {
  template <typename... Arguments>
  explicit edgekit_model(Arguments&&... arguments) : model(std::forward<Arguments>(arguments)...) {}

  edgekit::Model model;
  edgekit::Tensor input;                 // what a picture became
  std::vector<edgekit::Tensor> outputs;  // of the last run
};

namespace {

thread_local std::string message;

template <typename Work>
edgekit_status attempt(const Work& work) {
  try {
    work();
    return EDGEKIT_OK;
  } catch (const edgekit::Failure& failure) {
    message = failure.what();
    return failure.status;
  } catch (const std::bad_alloc&) {
    message = "there is not enough memory";
    return EDGEKIT_RUN;
  } catch (const std::exception& error) {
    message = error.what();
    return EDGEKIT_OTHER;
  }
}

void require(bool given, const char* what) {
  if (!given) edgekit::fail(EDGEKIT_USAGE, what);
}

void show(edgekit_tensor* out, const edgekit::TensorSpec& spec, const edgekit::Tensor& tensor) {
  *out = {};
  out->name = spec.name.c_str();
  out->dtype = edgekit::name_of(tensor.dtype);
  require(tensor.sizes.size() <= EDGEKIT_MOST_DIMENSIONS, "a tensor has too many dimensions");
  out->rank = tensor.sizes.size();
  std::copy(tensor.sizes.begin(), tensor.sizes.end(), out->sizes);
  out->data = tensor.bytes.data();
  out->bytes = tensor.bytes.size();
}

edgekit::View view_of(const edgekit_tensor& tensor, const edgekit::TensorSpec& spec) {
  require(tensor.rank <= EDGEKIT_MOST_DIMENSIONS && (tensor.data != nullptr || tensor.bytes == 0), "an input has no data");
  edgekit::View found{spec.dtype, {tensor.sizes, tensor.sizes + tensor.rank}, tensor.data};
  const size_t wanted = edgekit::count_of(found.sizes) * edgekit::size_of(spec.dtype);
  if (tensor.dtype != nullptr && std::strcmp(tensor.dtype, edgekit::name_of(spec.dtype)) != 0)
    edgekit::fail(EDGEKIT_INPUT, edgekit::told(spec) + ": " + tensor.dtype + " given");
  if (tensor.bytes != wanted)
    edgekit::fail(EDGEKIT_INPUT, edgekit::told(spec) + ": " + std::to_string(tensor.bytes) + " bytes given, and " +
                                     edgekit::told(found.sizes) + " are " + std::to_string(wanted));
  return found;
}

const std::vector<edgekit::TensorSpec>& specs(const edgekit_model* model, edgekit_side side) {
  const edgekit::Manifest& manifest = model->model.manifest();
  return side == EDGEKIT_INPUTS ? manifest.inputs : manifest.outputs;
}

}  // namespace

extern "C" {

const char* edgekit_message(void) { return message.c_str(); }

edgekit_status edgekit_open(const char* folder, edgekit_model** model) {
  return attempt([&] {
    require(folder != nullptr && model != nullptr, "edgekit_open takes a folder and where to put the model");
    *model = nullptr;
    *model = new edgekit_model(std::string(folder));
  });
}

edgekit_status edgekit_open_memory(const char* manifest, size_t manifest_bytes, const void* data, size_t bytes,
                                   edgekit_model** model) {
  return attempt([&] {
    require(manifest != nullptr && data != nullptr && model != nullptr, "edgekit_open_memory takes a manifest and a model");
    require(reinterpret_cast<uintptr_t>(data) % 16 == 0, "the model's address must be a multiple of 16");
    *model = nullptr;
    *model = new edgekit_model(std::string_view(manifest, manifest_bytes), data, bytes);
  });
}

void edgekit_close(edgekit_model* model) { delete model; }

size_t edgekit_count(const edgekit_model* model, edgekit_side side) { return specs(model, side).size(); }

edgekit_status edgekit_describe(const edgekit_model* model, edgekit_side side, size_t index, edgekit_tensor* tensor) {
  return attempt([&] {
    require(model != nullptr && tensor != nullptr && index < specs(model, side).size(), "there is no such input or output");
    const edgekit::TensorSpec& spec = specs(model, side)[index];
    edgekit::Tensor empty{spec.dtype, {}, {}};
    for (const edgekit::Size& size : spec.shape) {
      const auto* number = std::get_if<int64_t>(&size);
      empty.sizes.push_back(number != nullptr ? *number : -1);
    }
    show(tensor, spec, empty);
    tensor->data = nullptr;
  });
}

edgekit_status edgekit_picture(edgekit_model* model, const uint8_t* pixels, int width, int height, int channels,
                               int orientation, edgekit_tensor* input) {
  return attempt([&] {
    require(model != nullptr && pixels != nullptr && input != nullptr, "edgekit_picture takes pixels and where to put the input");
    const auto& steps = model->model.manifest().preprocessing;
    require(steps.has_value(), "the model takes no picture: its manifest has no preprocessing");
    require(width > 0 && height > 0 && int64_t{width} * height <= edgekit::kMostPixels, "a picture has one pixel to 89 million");
    require(channels == 1 || channels == 3 || channels == 4, "a picture has 1, 3 or 4 channels");
    const size_t bytes = static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(channels);
    model->input = edgekit::preprocess({width, height, channels, {pixels, pixels + bytes}, orientation}, *steps);
    show(input, model->model.manifest().inputs[0], model->input);
  });
}

edgekit_status edgekit_run(edgekit_model* model, const edgekit_tensor* inputs, size_t input_count, edgekit_tensor* outputs,
                           size_t output_count) {
  return attempt([&] {
    require(model != nullptr && inputs != nullptr && outputs != nullptr, "edgekit_run takes inputs and outputs");
    const auto& wanted = specs(model, EDGEKIT_INPUTS);
    const auto& given = specs(model, EDGEKIT_OUTPUTS);
    require(input_count == wanted.size() && output_count == given.size(), "edgekit_run takes all inputs and all outputs");
    std::vector<edgekit::View> views;
    for (size_t i = 0; i < input_count; ++i) views.push_back(view_of(inputs[i], wanted[i]));
    model->outputs = model->model.run(views);
    for (size_t i = 0; i < output_count; ++i) show(&outputs[i], given[i], model->outputs[i]);
  });
}

const char* edgekit_label(const edgekit_model* model, size_t index) {
  const auto& labels = model->model.manifest().labels;
  return index < labels.size() ? labels[index].c_str() : nullptr;
}

}  // extern "C"
