// Numbers and lists as text: for JSON, and for people.
#pragma once

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

#include "json.h"
#include "model.h"

namespace edgekit {

inline std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

inline std::string format(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

inline std::string number(double value) { return std::isfinite(value) ? format("%.9g", value) : "null"; }

inline std::string joined(const std::vector<std::string>& parts) {
  std::string found;
  for (const std::string& part : parts) found += (found.empty() ? "" : ", ") + part;
  return found;
}

// What every answer in JSON begins with.
inline std::string head(const Model& model) {
  return "\"model\": " + quoted(model.manifest().model) + ", \"artifact\": " + quoted(model.artifact().file) +
         ", \"runtime\": " + quoted(engine_name());
}

}  // namespace edgekit
