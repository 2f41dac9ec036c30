// A bundle's model, open: its manifest, and the engine that computes its artifact.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine.h"
#include "files.h"
#include "manifest.h"

namespace edgekit {

class Model {
 public:
  // Opens a folder with manifest.json and the artifact; the artifact's digest is checked before the runtime reads it.
  // To trace is for `Engine::traced`.
  explicit Model(const std::string& folder, const std::string* trace = nullptr);
  Model(std::string_view manifest, const void* data, size_t bytes);

  const Manifest& manifest() const { return manifest_; }
  const Artifact& artifact() const { return *artifact_; }

  // Checks the inputs against the manifest, and computes.
  std::vector<Tensor> run(const std::vector<View>& inputs);
  std::vector<Operation> traced() { return engine_->traced(); }

 private:
  void start(const void* data, size_t bytes, const std::string& where, const std::string* trace);

  Manifest manifest_;
  const Artifact* artifact_ = nullptr;
  std::unique_ptr<Mapped> file_;
  std::unique_ptr<Engine> engine_;
};

std::string told(const TensorSpec& spec);  // "image, float32 of batch x 1 x 32 x 32"

}  // namespace edgekit
