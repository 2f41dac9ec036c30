// What ExecuTorch tells of operations while it runs them: names and times, kept in memory.
#pragma once

#include <executorch/runtime/core/event_tracer.h>
#include <executorch/runtime/platform/clock.h>
#include <executorch/runtime/platform/platform.h>

#include <string>
#include <vector>

#include "engine.h"

namespace edgekit {

// Kernels of the runtime's libraries are told as they start and end; what a delegate runs inside, afterwards by itself.
class Tracer : public executorch::runtime::EventTracer {
 public:
  using Entry = executorch::runtime::EventTracerEntry;
  using Index = executorch::runtime::DelegateDebugIntId;
  using Seen = executorch::runtime::Result<bool>;

  // Begins a run, and counts the one before it; one that had other operations than the first is left out.
  void begin() {
    if (at_ > 0 && at_ == operations_.size()) ++runs_;
    for (Operation& one : operations_) one.ms.resize(runs_);
    if (runs_ == 0) operations_.clear();
    at_ = 0;
  }

  const std::vector<Operation>& operations() {
    begin();
    return operations_;
  }

  void create_event_block(const char*) override {}
  Entry start_profiling(const char* name, executorch::runtime::ChainID, executorch::runtime::DebugHandle) override {
    return started(std::string(name).rfind(kKernel, 0) == 0 ? name : "");
  }
  Entry start_profiling_delegate(const char* name, Index index) override { return started(named(name, index)); }
  void end_profiling(Entry entry) override { ended(entry); }
  void end_profiling_delegate(Entry entry, const void*, size_t) override { ended(entry); }
  void log_profiling_delegate(const char* name, Index index, et_timestamp_t start, et_timestamp_t end, const void*, size_t) override {
    add(named(name, index), start, end);
  }
  void track_allocation(executorch::runtime::AllocatorID, size_t) override {}
  executorch::runtime::AllocatorID track_allocator(const char*) override { return 0; }
  Seen log_evalue(const executorch::runtime::EValue&, executorch::runtime::LoggedEValueType) override { return false; }
  Seen log_intermediate_output_delegate(const char*, Index, const executorch::aten::Tensor&) override { return false; }
  Seen log_intermediate_output_delegate(const char*, Index, const executorch::runtime::ArrayRef<executorch::aten::Tensor>) override {
    return false;
  }
  Seen log_intermediate_output_delegate(const char*, Index, const int&) override { return false; }
  Seen log_intermediate_output_delegate(const char*, Index, const bool&) override { return false; }
  Seen log_intermediate_output_delegate(const char*, Index, const double&) override { return false; }
  void set_delegation_intermediate_output_filter(executorch::runtime::EventTracerFilterBase*) override {}

 private:
  static constexpr const char* kKernel = "native_call_";

  static std::string named(const char* name, Index index) {
    return name != nullptr ? std::string(name) : "operation " + std::to_string(index);
  }

  Entry started(const std::string& name) {
    Entry entry{};
    entry.event_id = static_cast<int64_t>(open_.size());
    open_.push_back(name);
    entry.start_time = et_pal_current_ticks();
    return entry;
  }

  void ended(const Entry& entry) {
    const auto place = static_cast<size_t>(entry.event_id);
    if (place >= open_.size()) return;
    const std::string name = open_[place];
    open_.resize(place);  // events are nested
    const size_t start = name.rfind(kKernel, 0) == 0 ? std::char_traits<char>::length(kKernel) : 0;
    if (!name.empty()) add(name.substr(start), entry.start_time, et_pal_current_ticks());
  }

  void add(const std::string& name, et_timestamp_t start, et_timestamp_t end) {
    const double ms = static_cast<double>(executorch::runtime::ticks_to_ns(end - start)) / 1e6;
    if (runs_ == 0) operations_.push_back({name, name.substr(0, name.find(" #")), {}});
    const bool same = at_ < operations_.size() && operations_[at_].name == name;
    if (same) operations_[at_].ms.push_back(ms);
    at_ = same ? at_ + 1 : operations_.size() + 1;
  }

  std::vector<Operation> operations_;
  std::vector<std::string> open_;
  size_t runs_ = 0, at_ = 0;
};

}  // namespace edgekit
