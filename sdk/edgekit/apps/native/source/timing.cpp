// bench and trace: what a run takes, and which operations take it.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <numeric>

#include "failure.h"
#include "json.h"
#include "verbs.h"
#include "words.h"

namespace edgekit {

namespace {

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// The most memory that the process ever had, in kB. getrusage would count what its parent had before it started this.
long peak_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) return std::stol(line.substr(6));
  return 0;
}

std::vector<Tensor> timed_inputs(const Model& model, const Asked& asked) {
  const Manifest& manifest = model.manifest();
  if (!asked.inputs.empty()) return read_inputs(manifest, asked.inputs);
  if (manifest.golden.empty()) fail(EDGEKIT_DAMAGED, "the manifest names no golden vectors; give --input");
  return golden_inputs(asked.folder, manifest, manifest.golden[0]);
}

std::vector<View> views_of(const std::vector<Tensor>& tensors) {
  std::vector<View> found;
  for (const Tensor& tensor : tensors) found.push_back({tensor.dtype, tensor.sizes, tensor.bytes.data()});
  return found;
}

std::vector<std::string> numbers(const std::vector<double>& values) {
  std::vector<std::string> found;
  for (const double value : values) found.push_back(number(value));
  return found;
}

// The mean over the faster half of the runs: what else the machine does is in the slower one.
double mean_of_faster(const std::vector<double>& ms, const std::vector<size_t>& order) {
  const size_t half = std::max<size_t>(1, order.size() / 2);
  double sum = 0;
  for (size_t i = 0; i < half; ++i) sum += ms[order[i]];
  return sum / static_cast<double>(half);
}

}  // namespace

std::string bench(const Asked& asked) {
  const auto start = std::chrono::steady_clock::now();
  Model model(asked.folder);
  const double open_ms = ms_since(start);
  const std::vector<Tensor> inputs = timed_inputs(model, asked);
  const std::vector<View> views = views_of(inputs);
  std::vector<double> times;
  double first_ms = 0;
  for (int i = -asked.warmup; i < asked.runs; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    model.run(views);
    const double taken = ms_since(begun);
    if (i == -asked.warmup) first_ms = taken;
    if (i >= 0) times.push_back(taken);
  }
  const std::vector<double> as_they_came = times;
  std::sort(times.begin(), times.end());
  const auto share = [&times](double part) { return times[static_cast<size_t>(std::ceil(part * static_cast<double>(times.size()))) - 1]; };
  const size_t half = times.size() / 2;
  const double median = times.size() % 2 ? times[half] : (times[half - 1] + times[half]) / 2;
  if (asked.json)
    return "{" + head(model) + format(", \"runs\": %d, \"warmup\": %d", asked.runs, asked.warmup) + ", \"median_ms\": " + number(median) +
           ", \"p95_ms\": " + number(share(0.95)) + ", \"least_ms\": " + number(times[0]) + ", \"open_ms\": " + number(open_ms) +
           ", \"first_ms\": " + number(first_ms) + ", \"planned_bytes\": " + std::to_string(model.artifact().planned_bytes) +
           ", \"peak_kb\": " + std::to_string(peak_kb()) + ", \"times_ms\": [" + joined(numbers(as_they_came)) + "]}\n";
  return format("median %.3f ms  p95 %.3f ms  least %.3f ms  (%d runs after %d)\n", median, share(0.95), times[0], asked.runs, asked.warmup) +
         format("opened in %.2f ms, first run %.2f ms\n", open_ms, first_ms) +
         format("peak memory %.1f MB, of which the model plans %.1f MB\n", static_cast<double>(peak_kb()) / 1024,
                static_cast<double>(model.artifact().planned_bytes) / 1048576);
}

std::string trace(const Asked& asked) {
  const std::string folder = asked.output.empty() ? "/tmp" : asked.output;
  Model model(asked.folder, &folder);
  const std::vector<Tensor> inputs = timed_inputs(model, asked);
  const std::vector<View> views = views_of(inputs);
  std::vector<double> whole;
  for (int i = 0; i < asked.runs; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    model.run(views);
    whole.push_back(ms_since(begun));
  }
  std::vector<size_t> order(whole.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&whole](size_t a, size_t b) { return whole[a] < whole[b]; });
  const std::vector<Operation> operations = model.traced();
  double sum = 0;
  std::vector<std::pair<const Operation*, double>> found;
  for (const Operation& one : operations)
    if (one.ms.size() == whole.size()) sum += found.emplace_back(&one, mean_of_faster(one.ms, order)).second;
  if (asked.json) {
    std::vector<std::string> told;
    for (const auto& [one, mean] : found)
      told.push_back("{\"name\": " + quoted(one->name) + ", \"operator\": " + quoted(one->kind) + ", \"mean_ms\": " + number(mean) + "}");
    return "{" + head(model) + format(", \"runs\": %d", asked.runs) + ", \"traced_ms\": " + number(mean_of_faster(whole, order)) +
           ", \"operations\": [" + joined(told) + "]}\n";
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (const auto& [one, mean] : found)
    text += format("%9.1f us  %5.1f %%  ", 1e3 * mean, sum > 0 ? 100 * mean / sum : 0.0) + plain(one->name) + "\n";
  return text + format("%zu operations, %d runs under tracing, which slows them; bench tells what a run takes\n", found.size(), asked.runs);
}

}  // namespace edgekit
