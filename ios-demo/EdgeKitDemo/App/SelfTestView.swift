#if canImport(SwiftUI)
import EdgeKitCore
import SwiftUI

/// Does this phone compute what the host computed? The results leave through the share sheet.
struct SelfTestView: View {
    let model: AppModel

    var body: some View {
        NavigationStack {
            List {
                Section {
                    Button(model.progress ?? "Run the self-test") { Task { await model.selfTest() } }
                        .disabled(model.progress != nil)
                    LabeledContent("Device", value: Device.current.full)
                    LabeledContent("System", value: Device.current.os)
                }
                if let outcome = model.outcome {
                    Section {
                        Label(outcome.passed ? "Passed" : "Failed", systemImage: outcome.passed ? "checkmark.seal.fill" : "xmark.seal.fill")
                            .foregroundStyle(outcome.passed ? .green : .red)
                        if let failure = outcome.failure { Text(failure.description).textSelection(.enabled) }
                        if !model.written.isEmpty {
                            ShareLink("Share the traces", items: model.written)
                        }
                    }
                    ForEach(outcome.artifacts, id: \.artifact.file) { TestedSection(tested: $0) }
                }
            }
            .navigationTitle("Self-test")
        }
    }
}

private struct TestedSection: View {
    let tested: Tested

    var body: some View {
        Section(tested.artifact.file) {
            LabeledContent("Verdict", value: tested.status.rawValue)
            if let reason = tested.reason { Text(reason) }
            if let failure = tested.failure { Text(failure.action).foregroundStyle(.secondary) }
            if let runtime = tested.runtime { LabeledContent("Runtime", value: runtime) }
            if let latency = tested.latency {
                LabeledContent("Load", value: milliseconds(latency.load))
                LabeledContent("First inference", value: milliseconds(latency.first))
                LabeledContent("Median", value: milliseconds(latency.percentile(0.5)))
                LabeledContent("95th percentile", value: milliseconds(latency.percentile(0.95)))
            }
            ForEach(tested.legs.indices, id: \.self) { LegRows(leg: tested.legs[$0]) }
        }
    }

    private func milliseconds(_ value: Double) -> String { String(format: "%.2f ms", value) }
}

private struct LegRows: View {
    let leg: Leg

    var body: some View {
        DisclosureGroup("\(leg.output), leg \(leg.leg.rawValue): \(leg.passed ? "passed" : "failed")") {
            LabeledContent("Share of the tolerance", value: String(format: "%.3g", leg.worstShare))
            ForEach(leg.metrics.named.filter { $0.value != nil || $0.name == "sqnr_db" }, id: \.name) { metric in
                LabeledContent(metric.name, value: metric.value.map { String(format: "%.6g", $0) } ?? "identical")
            }
            ForEach(leg.limits, id: \.limit) { judged in
                LabeledContent("\(judged.limit) \(String(format: "%.6g", judged.bound))", value: judged.result.rawValue)
            }
        }
    }
}

/// The bundle's own inputs, with the label that each has and what the model says.
struct GoldenView: View {
    @Bindable var model: AppModel

    var body: some View {
        NavigationStack {
            List {
                Section { ArtifactPicker(model: model) }
                if let manifest = model.bundle?.manifest {
                    Section {
                        ForEach(manifest.golden.indices, id: \.self) { index in
                            Button {
                                Task { await model.answer(golden: manifest.golden[index]) }
                            } label: {
                                LabeledContent("Input \(index)", value: label(manifest, manifest.golden[index]))
                            }
                        }
                    }
                }
                Section { AnswerView(model: model) }
            }
            .navigationTitle("Golden inputs")
        }
    }

    private func label(_ manifest: Manifest, _ row: Golden) -> String {
        guard let label = row.label else { return "" }
        let index = Int(label)
        return manifest.labels.indices.contains(index) ? manifest.labels[index] : String(label)
    }
}
#endif
