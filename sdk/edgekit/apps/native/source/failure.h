// What goes wrong on purpose: a line that names the place and the reason, and the exit code, which is EdgeKit's own.
#pragma once

#include <stdexcept>
#include <string>

#include "edgekit.h"

namespace edgekit {

struct Failure : std::runtime_error {
  Failure(edgekit_status status_, const std::string& message) : std::runtime_error(message), status(status_) {}
  edgekit_status status;
};

[[noreturn]] inline void fail(edgekit_status status, const std::string& message) { throw Failure(status, message); }

}  // namespace edgekit
