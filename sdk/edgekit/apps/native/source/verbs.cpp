#include "verbs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "failure.h"
#include "json.h"
#include "words.h"

namespace edgekit {

namespace {

struct Class {
  std::string label;
  double probability;
};

// The likeliest classes of a row of logits; ties go to the lower number.
std::vector<Class> classes(const Tensor& logits, size_t row, const std::vector<std::string>& labels, size_t top) {
  const size_t count = logits.count() / static_cast<size_t>(logits.sizes[0]);
  std::vector<double> powers(count);
  double highest = -HUGE_VAL, sum = 0;
  for (size_t i = 0; i < count; ++i) highest = std::max(highest, powers[i] = logits.value(row * count + i));
  for (double& power : powers) sum += power = std::exp(power - highest);
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return powers[a] > powers[b]; });
  std::vector<Class> found;
  for (size_t i = 0; i < std::min(top, count); ++i)
    found.push_back({order[i] < labels.size() ? labels[order[i]] : std::to_string(order[i]), powers[order[i]] / sum});
  return found;
}

const Tensor* logits_of(const Manifest& manifest, const std::vector<Tensor>& outputs) {
  for (size_t i = 0; i < outputs.size(); ++i)
    if (manifest.outputs[i].meaning == "logits" && outputs[i].sizes.size() == 2 && outputs[i].count() > 0) return &outputs[i];
  return nullptr;
}

std::string told_classes(const Manifest& manifest, const Tensor& logits, const Asked& asked) {
  std::vector<std::string> samples;
  std::string text;
  for (size_t row = 0; row < static_cast<size_t>(logits.sizes[0]); ++row) {
    std::vector<std::string> found;
    for (const Class& one : classes(logits, row, manifest.labels, asked.top)) {
      found.push_back("{\"label\": " + quoted(one.label) + ", \"probability\": " + number(one.probability) + "}");
      text += format("%7.2f %%  ", 100 * one.probability) + plain(one.label) + "\n";
    }
    samples.push_back("{\"classes\": [" + joined(found) + "]}");
    if (row + 1 < static_cast<size_t>(logits.sizes[0])) text += "\n";
  }
  return asked.json ? "\"samples\": [" + joined(samples) + "]" : text;
}

std::string told_outputs(const Manifest& manifest, const std::vector<Tensor>& outputs, const Asked& asked) {
  std::vector<std::string> found;
  std::string text;
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::vector<std::string> values, sizes;
    for (size_t k = 0; k < std::min(asked.top, outputs[i].count()); ++k) values.push_back(number(outputs[i].value(k)));
    for (const int64_t size : outputs[i].sizes) sizes.push_back(std::to_string(size));
    const char* dtype = name_of(outputs[i].dtype);
    found.push_back(quoted(manifest.outputs[i].name) + ": {\"dtype\": \"" + dtype + "\", \"shape\": [" + joined(sizes) +
                    "], \"first\": [" + joined(values) + "]}");
    text += plain(manifest.outputs[i].name) + "  " + dtype + "  " + told(outputs[i].sizes) + "  [" + joined(values) +
            (outputs[i].count() > asked.top ? ", ...]\n" : "]\n");
  }
  return asked.json ? "\"outputs\": {" + joined(found) + "}" : text;
}

// How far an output is from what a golden vector expects; 0 where the bytes are the same.
double distance(const Tensor& found, const Tensor& expected) {
  if (found.sizes != expected.sizes || found.dtype != expected.dtype) return HUGE_VAL;
  if (found.bytes == expected.bytes) return 0;
  double worst = 0;
  for (size_t i = 0; i < expected.count(); ++i) {
    const double one = found.value(i), other = expected.value(i);
    const double off = one == other || (std::isnan(one) && std::isnan(other)) ? 0 : std::abs(one - other);
    worst = std::isnan(off) ? HUGE_VAL : std::max(worst, off);
  }
  return worst;
}

}  // namespace

std::string info(const Asked& asked) {
  const Model model(asked.folder);
  const Manifest& manifest = model.manifest();
  std::vector<std::string> inputs, outputs, tensors;
  for (const TensorSpec& spec : manifest.inputs) inputs.push_back(quoted(told(spec)));
  for (const TensorSpec& spec : manifest.outputs) outputs.push_back(quoted(told(spec)));
  if (asked.json)
    return "{" + head(model) + ", \"target\": " + quoted(manifest.target) + ", \"quantization\": " + quoted(model.artifact().quantization) +
           ", \"parameters\": " + std::to_string(manifest.parameters) + ", \"planned_bytes\": " +
           std::to_string(model.artifact().planned_bytes) + ", \"inputs\": [" + joined(inputs) + "], \"outputs\": [" +
           joined(outputs) + "], \"labels\": " + std::to_string(manifest.labels.size()) + "}\n";
  std::string text = plain(manifest.model) + " for " + plain(manifest.target) + "\n  artifact    " + plain(model.artifact().file) + ", " +
                     plain(model.artifact().quantization) + ", in " + engine_name() + "\n  parameters  " + std::to_string(manifest.parameters) + "\n";
  for (const TensorSpec& spec : manifest.inputs) text += "  input       " + plain(told(spec)) + "\n";
  for (const TensorSpec& spec : manifest.outputs) text += "  output      " + plain(told(spec)) + "\n";
  for (const auto& [name, range] : manifest.ranges)
    text += "  " + plain(name) + "  " + std::to_string(range.least) + " to " + std::to_string(range.most) + "\n";
  return text + "  takes       " + (manifest.preprocessing ? "pictures (PNG, PNM, JPEG), .npy, raw values\n" : ".npy, raw values\n");
}

std::string predict(const Asked& asked) {
  Model model(asked.folder);
  const std::vector<Tensor> outputs = run_samples(model, read_inputs(model.manifest(), asked.inputs));
  if (!asked.output.empty())
    for (size_t i = 0; i < outputs.size(); ++i)
      write_file(asked.output + "/" + model.manifest().outputs[i].name + ".npy", npy(outputs[i]));
  const Tensor* logits = logits_of(model.manifest(), outputs);
  const std::string told = logits != nullptr ? told_classes(model.manifest(), *logits, asked) : told_outputs(model.manifest(), outputs, asked);
  return asked.json ? "{" + head(model) + ", " + told + "}\n" : told;
}

std::string selftest(const Asked& asked, bool& passed) {
  Model model(asked.folder);
  const Manifest& manifest = model.manifest();
  if (manifest.golden.empty()) fail(EDGEKIT_DAMAGED, "the manifest names no golden vectors");
  std::vector<std::string> cases;
  std::string text;
  size_t good = 0, identical = 0;
  for (const Golden& golden : manifest.golden) {
    const std::vector<Tensor> outputs = run_samples(model, golden_inputs(asked.folder, manifest, golden));
    double own = 0, reference = 0;
    bool right = true, same = true, known = false;
    for (const GoldenTensor& expected : golden.outputs) {
      if (expected.artifact && *expected.artifact != model.artifact().file) continue;
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (manifest.outputs[i].name != expected.name) continue;
        const Tensor wanted = read_golden(asked.folder, expected);
        const double off = distance(outputs[i], wanted);
        right = right && off <= expected.max_abs_error;
        known = known || expected.artifact;
        if (expected.artifact) same = same && outputs[i].bytes == wanted.bytes;
        double& worst = expected.artifact ? own : reference;
        worst = std::max(worst, off);
      }
    }
    if (!known) fail(EDGEKIT_DAMAGED, "a golden vector has no output of " + model.artifact().file);
    good += right;
    identical += same;
    text += format("golden %zu  %s  from the build %.3g%s, from the reference %.3g\n", cases.size(), right ? "passed" : "FAILED", own,
                   same ? " (identical)" : "", reference);
    cases.push_back(format("{\"passed\": %s, \"identical\": %s, \"max_abs_error\": ", right ? "true" : "false", same ? "true" : "false") +
                    number(own) + ", \"max_abs_error_from_reference\": " + number(reference) + "}");
  }
  passed = good == cases.size();
  if (asked.json)
    return "{" + head(model) + ", \"passed\": " + (passed ? "true" : "false") + ", \"golden\": [" + joined(cases) + "]}\n";
  return text + format("%s  %zu of %zu golden vectors, %zu identical\n", passed ? "PASSED" : "FAILED", good, cases.size(), identical);
}

}  // namespace edgekit
