// ONNX Runtime's C API, by the path at which both Apple's framework and Debian's package have it.
#include <onnxruntime/onnxruntime_c_api.h>
