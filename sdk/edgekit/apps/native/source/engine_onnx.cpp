// ONNX Runtime, by its C interface: runs an .onnx.
#include <onnxruntime_c_api.h>

#include <cstdio>
#include <cstring>
#include <map>

#include "engine.h"
#include "failure.h"
#include "files.h"
#include "json.h"

namespace edgekit {

namespace {

const OrtApi& api() {
  // The header may be older than the library, which keeps what it once had; a newer header it does not know.
  static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (found == nullptr) fail(EDGEKIT_LIBRARY, std::string("libonnxruntime.so is older than this program: ") + OrtGetApiBase()->GetVersionString());
  return *found;
}

edgekit_status status_of(OrtErrorCode code) {
  switch (code) {
    case ORT_NOT_IMPLEMENTED: return EDGEKIT_KERNEL;
    case ORT_INVALID_PROTOBUF: case ORT_INVALID_GRAPH: case ORT_NO_MODEL: return EDGEKIT_DAMAGED;
    default: return EDGEKIT_RUN;
  }
}

void require(OrtStatus* status, const char* what) {
  if (status == nullptr) return;
  std::string reason = api().GetErrorMessage(status);
  const edgekit_status kind = status_of(api().GetErrorCode(status));
  api().ReleaseStatus(status);
  fail(kind, std::string(what) + ": " + reason.substr(0, reason.find('\n')));
}

template <typename T, void (*OrtApi::*release)(T*)>
struct Release {
  void operator()(T* held) const { (api().*release)(held); }
};

#define EDGEKIT_HELD(name, member) std::unique_ptr<name, Release<name, &OrtApi::member>>
using Environment = EDGEKIT_HELD(OrtEnv, ReleaseEnv);
using Options = EDGEKIT_HELD(OrtSessionOptions, ReleaseSessionOptions);
using Session = EDGEKIT_HELD(OrtSession, ReleaseSession);
using Memory = EDGEKIT_HELD(OrtMemoryInfo, ReleaseMemoryInfo);
using Value = EDGEKIT_HELD(OrtValue, ReleaseValue);
using Shape = EDGEKIT_HELD(OrtTensorTypeAndShapeInfo, ReleaseTensorTypeAndShapeInfo);
#undef EDGEKIT_HELD

ONNXTensorElementDataType type_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case DType::float16: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case DType::int64: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    case DType::int32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    case DType::uint8: return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    case DType::int8: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8;
    case DType::boolean: return ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

// One for the process, as ONNX Runtime wants it.
OrtEnv* environment() {
  static const Environment made = [] {
    OrtEnv* found = nullptr;
    require(api().CreateEnv(ORT_LOGGING_LEVEL_FATAL, "edgekit", &found), "ONNX Runtime does not start");
    return Environment(found);
  }();
  return made.get();
}

class OnnxEngine : public Engine {
 public:
  OnnxEngine(const void* data, size_t size, const Manifest& manifest, const std::string* trace)
      : inputs_(manifest.inputs), outputs_(manifest.outputs), tracing_(trace != nullptr) {
    OrtSessionOptions* options = nullptr;
    require(api().CreateSessionOptions(&options), "ONNX Runtime does not start");
    const Options held(options);
    if (tracing_) require(api().EnableProfiling(options, (*trace + "/edgekit-trace").c_str()), "ONNX Runtime does not trace");
    OrtSession* session = nullptr;
    require(api().CreateSessionFromArray(environment(), data, size, options, &session), "the model cannot be loaded");
    session_.reset(session);
    OrtMemoryInfo* memory = nullptr;
    require(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), "ONNX Runtime does not start");
    memory_.reset(memory);
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    std::vector<Value> given, found(outputs_.size());
    std::vector<const OrtValue*> bare;
    std::vector<OrtValue*> results(outputs_.size());
    std::vector<const char*> names, wanted;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const View& input = inputs[i];
      const size_t bytes = count_of(input.sizes) * size_of(input.dtype);
      OrtValue* value = nullptr;
      // ONNX Runtime takes no constant data, and writes to no input.
      require(api().CreateTensorWithDataAsOrtValue(memory_.get(), const_cast<void*>(input.data), bytes, input.sizes.data(),
                                                   input.sizes.size(), type_of(input.dtype), &value),
              "an input cannot be taken");
      given.emplace_back(value);
      bare.push_back(value);
      names.push_back(inputs_[i].name.c_str());
    }
    for (const TensorSpec& output : outputs_) wanted.push_back(output.name.c_str());
    OrtStatus* status = api().Run(session_.get(), nullptr, names.data(), bare.data(), bare.size(), wanted.data(), wanted.size(), results.data());
    for (size_t i = 0; i < results.size(); ++i) found[i].reset(results[i]);
    require(status, "the model cannot be run");
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < found.size(); ++i) tensors.push_back(output(found[i].get(), outputs_[i]));
    return tensors;
  }

  std::vector<Operation> traced() override {
    if (!tracing_) return {};
    tracing_ = false;
    OrtAllocator* allocator = nullptr;
    require(api().GetAllocatorWithDefaultOptions(&allocator), "ONNX Runtime does not trace");
    char* name = nullptr;
    require(api().SessionEndProfiling(session_.get(), allocator, &name), "ONNX Runtime does not trace");
    const std::string path = name;
    require(api().AllocatorFree(allocator, name), "ONNX Runtime does not trace");
    const std::vector<uint8_t> text = read_file(path, EDGEKIT_RUN, kLargestTrace);
    std::remove(path.c_str());
    return operations(Json::parse({reinterpret_cast<const char*>(text.data()), text.size()}, path));
  }

 private:
  static constexpr size_t kLargestTrace = size_t{1} << 30;

  // Of a node's events those of its kernel: "NAME_kernel_time", once in each run, in the order of running.
  static std::vector<Operation> operations(const Json& events) {
    static const std::string ending = "_kernel_time";
    std::vector<Operation> found;
    std::map<std::string, size_t> places;
    for (const Json& event : events.items()) {
      const Json* category = event.find("cat");
      const std::string& name = event.at("name").text();
      if (category == nullptr || category->text() != "Node" || name.size() <= ending.size() ||
          name.compare(name.size() - ending.size(), ending.size(), ending) != 0)
        continue;
      const auto [place, fresh] = places.emplace(name, found.size());
      if (fresh) found.push_back({name.substr(0, name.size() - ending.size()), event.at("args").at("op_name").text(), {}});
      found[place->second].ms.push_back(event.at("dur").number() / 1e3);
    }
    return found;
  }

  static Tensor output(OrtValue* value, const TensorSpec& spec) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    require(api().GetTensorTypeAndShape(value, &info), "an output is no tensor");
    const Shape held(info);
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    require(api().GetTensorElementType(info, &type), "an output has no type");
    if (type != type_of(spec.dtype)) fail(EDGEKIT_DAMAGED, "the model's output is not the " + std::string(name_of(spec.dtype)) + " that the manifest says");
    size_t rank = 0;
    require(api().GetDimensionsCount(info, &rank), "an output has no shape");
    Tensor found{spec.dtype, std::vector<int64_t>(rank), {}};
    require(api().GetDimensions(info, found.sizes.data(), rank), "an output has no shape");
    void* data = nullptr;
    require(api().GetTensorMutableData(value, &data), "an output has no memory");
    const size_t bytes = count_of(found.sizes) * size_of(spec.dtype);
    found.bytes.resize(bytes);
    if (bytes > 0) std::memcpy(found.bytes.data(), data, bytes);
    return found;
  }

  std::vector<TensorSpec> inputs_, outputs_;
  bool tracing_;
  Session session_;
  Memory memory_;
};

}  // namespace

const char* engine_format() { return "onnx"; }
const char* engine_name() { return "ONNX Runtime"; }

std::unique_ptr<Engine> open_engine(const void* data, size_t size, const Manifest& manifest, const std::string* trace) {
  return std::make_unique<OnnxEngine>(data, size, manifest, trace);
}

}  // namespace edgekit
