// What edgekit-run does, and how it says so.
#pragma once

#include <string>
#include <vector>

#include "inputs.h"

namespace edgekit {

struct Asked {
  std::string folder;           // with manifest.json and the model
  std::vector<Given> inputs;
  std::string output;           // a folder for .npy files; empty: none
  size_t top = 5;
  int runs = 100, warmup = 10;
  bool json = false;
};

// Each returns the text to print, which ends with a line break. A self-test that fails throws after it has printed.
std::string info(const Asked& asked);
std::string predict(const Asked& asked);
std::string selftest(const Asked& asked, bool& passed);
std::string bench(const Asked& asked);
std::string trace(const Asked& asked);

}  // namespace edgekit
