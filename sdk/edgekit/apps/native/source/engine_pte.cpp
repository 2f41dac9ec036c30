// ExecuTorch: runs a .pte.
#include <executorch/extension/data_loader/buffer_data_loader.h>
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <executorch/runtime/platform/platform.h>

#include <cstring>
#include <mutex>

#include "engine.h"
#include "failure.h"
#include "tracer_pte.h"

namespace edgekit {

namespace {

using executorch::aten::ScalarType;
using executorch::extension::BufferDataLoader;
using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::Program;

// What the runtime says of a failure: its own reason, which its error code leaves out.
std::mutex said_lock;
std::string said;

void keep(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, size_t, const char* message, size_t length) {
  if (level != et_pal_log_level_t::kError && level != et_pal_log_level_t::kFatal) return;
  const std::lock_guard<std::mutex> lock(said_lock);
  if (said.empty()) said.assign(message, length);
}

void listen() {
  static const bool once = register_pal(executorch::runtime::PalImpl::create(keep, __FILE__));
  (void)once;
  const std::lock_guard<std::mutex> lock(said_lock);
  said.clear();
}

edgekit_status status_of(Error error) {
  switch (error) {
    case Error::OperatorMissing: case Error::NotFound: return EDGEKIT_KERNEL;
    case Error::InvalidProgram: case Error::InvalidExternalData: return EDGEKIT_DAMAGED;
    default: return EDGEKIT_RUN;
  }
}

const char* meaning_of(Error error) {
  switch (error) {
    case Error::OperatorMissing: return "the runtime's libraries lack an operator";
    case Error::NotFound: return "the runtime's libraries lack the backend, or the file has no method forward";
    case Error::InvalidProgram: return "the file is truncated or is no .pte";
    case Error::MemoryAllocationFailed: return "there is not enough memory";
    case Error::NotSupported: return "it asks for what this runtime does not do";
    default: return "the runtime fails";
  }
}

[[noreturn]] void failed(const char* what, Error error) {
  char code[16];
  std::snprintf(code, sizeof code, "0x%x", static_cast<unsigned>(error));
  const std::lock_guard<std::mutex> lock(said_lock);
  std::string reason = said.substr(0, said.find('\n'));
  fail(status_of(error), std::string(what) + ": " + meaning_of(error) + " (" + code + (reason.empty() ? "" : ": " + reason) + ")");
}

ScalarType scalar_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return ScalarType::Float;
    case DType::float16: return ScalarType::Half;
    case DType::int64: return ScalarType::Long;
    case DType::int32: return ScalarType::Int;
    case DType::uint8: return ScalarType::Byte;
    case DType::int8: return ScalarType::Char;
    case DType::boolean: return ScalarType::Bool;
  }
  return ScalarType::Float;
}

class PteEngine : public Engine {
 public:
  // The tracer is the module's, which outlives all use of it here.
  PteEngine(const void* data, size_t size, const Manifest& manifest, std::unique_ptr<Tracer> tracer)
      : outputs_(manifest.outputs),
        tracer_(tracer.get()),
        module_(std::make_unique<BufferDataLoader>(data, size), nullptr, nullptr, std::move(tracer)) {
    listen();
    Error error = module_.load(Program::Verification::InternalConsistency);
    if (error != Error::Ok) failed("the model cannot be loaded", error);
    error = module_.load_forward();
    if (error != Error::Ok) failed("the model cannot be loaded", error);
    const auto facts = module_.method_meta("forward");
    if (!facts.ok() || facts->num_inputs() != manifest.inputs.size() || facts->num_outputs() != manifest.outputs.size())
      fail(EDGEKIT_DAMAGED, "the model has other inputs or outputs than the manifest says");
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    listen();
    std::vector<TensorPtr> held;
    std::vector<EValue> values;
    for (const View& input : inputs) {
      std::vector<executorch::aten::SizesType> sizes(input.sizes.begin(), input.sizes.end());
      // The runtime takes no constant data, and writes to no input.
      held.push_back(executorch::extension::from_blob(const_cast<void*>(input.data), std::move(sizes), scalar_of(input.dtype)));
      values.emplace_back(*held.back());
    }
    if (tracer_ != nullptr) tracer_->begin();
    const auto results = module_.forward(values);
    if (!results.ok()) failed("the model cannot be run", results.error());
    std::vector<Tensor> found;
    for (size_t i = 0; i < outputs_.size(); ++i) found.push_back(output(results.get(), i));
    return found;
  }

  std::vector<Operation> traced() override { return tracer_ == nullptr ? std::vector<Operation>() : tracer_->operations(); }

 private:
  Tensor output(const std::vector<EValue>& values, size_t index) const {
    const DType dtype = outputs_[index].dtype;
    if (index >= values.size() || !values[index].isTensor() || values[index].toTensor().scalar_type() != scalar_of(dtype))
      fail(EDGEKIT_DAMAGED, "the model's output is not the " + std::string(name_of(dtype)) + " that the manifest says");
    const auto& tensor = values[index].toTensor();
    Tensor found{dtype, {tensor.sizes().begin(), tensor.sizes().end()}, {}};
    const auto* data = static_cast<const uint8_t*>(tensor.const_data_ptr());
    if (tensor.nbytes() > 0 && data == nullptr) fail(EDGEKIT_RUN, "the model's output has no memory");
    found.bytes.assign(data, data + tensor.nbytes());
    return found;
  }

  std::vector<TensorSpec> outputs_;
  Tracer* tracer_;
  Module module_;
};

}  // namespace

const char* engine_format() { return "pte"; }
const char* engine_name() { return "ExecuTorch"; }

std::unique_ptr<Engine> open_engine(const void* data, size_t size, const Manifest& manifest, const std::string* trace) {
  return std::make_unique<PteEngine>(data, size, manifest, trace == nullptr ? nullptr : std::make_unique<Tracer>());
}

}  // namespace edgekit
