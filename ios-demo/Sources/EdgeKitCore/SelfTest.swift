import Foundation

/// What an output's difference from its reference means.
public struct Leg: Sendable {
    public let leg: LegName
    public let output: String
    public let metrics: Metrics
    /// The largest error as a share of what the bundle allows; infinite where a value is not a number.
    public let worstShare: Double
    public let limits: [Judged]

    public var isWithinTolerance: Bool { worstShare <= 1 }
    public var passed: Bool {
        isWithinTolerance && metrics.nonFinite == 0 && !limits.contains { $0.result == .broken }
    }
}

/// Latencies in milliseconds.
public struct Latency: Sendable {
    public let load: Double
    public let first: Double
    public let sorted: [Double]

    /// As numpy's percentile: between two values, linearly.
    public func percentile(_ share: Double) -> Double {
        let place = share * Double(sorted.count - 1), below = Int(place)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below))
    }
}

/// What became of one artifact.
public struct Tested: Sendable {
    /// Skipped: not run for want of a runtime.
    public enum Status: String, Sendable { case passed, failed, skipped }

    public let artifact: Artifact
    public let status: Status
    public var runtime: String?
    public var threads: Int?
    public var failure: Failure?
    public var reason: String?
    public var latency: Latency?
    public var legs: [Leg] = []
}

/// The self-test's outcome: a failure before any artifact was loaded, or the result of each.
public struct Outcome: Sendable {
    public let manifest: Manifest?
    public var failure: Failure?
    public let artifacts: [Tested]

    public var passed: Bool {
        failure == nil && artifacts.contains { $0.status == .passed } && !artifacts.contains { $0.status == .failed }
    }
}

/// Does this device compute what the host computed? Every golden input goes through every artifact that there is a
/// runtime for; what comes out is held against the host's run of the same artifact (the leg `device`) and against the
/// float reference (the leg `total`), as `edgekit compare` would.
public struct SelfTest: Sendable {
    private let runtimes: [any Runtime]
    private let device: Device
    private let results: URL
    private let timing: Timing

    /// - Parameter results: The folder for `selftest.json` and the traces; what was in it is removed.
    public init(_ runtimes: [any Runtime], device: Device, results: URL, timing: Timing = Timing()) {
        self.runtimes = runtimes
        self.device = device
        self.results = results
        self.timing = timing
    }

    /// Runs everything and writes the results; failures are part of the outcome.
    public func run(
        _ open: @Sendable () throws -> DroppedBundle, progress: @Sendable (String) async -> Void = { _ in }
    ) async -> Outcome {
        var outcome = await tested(open, progress)
        do {
            try writing("selftest.json") {
                // Atomically: whoever waits for the file sees a whole one.
                try outcome.json(device: device).write(to: results.appending(path: "selftest.json"), options: .atomic)
            }
        } catch {
            outcome.failure = outcome.failure ?? error as? Failure
        }
        return outcome
    }

    private func tested(_ open: () throws -> DroppedBundle, _ progress: (String) async -> Void) async -> Outcome {
        var manifest: Manifest?
        do {
            try writing(results.lastPathComponent) {
                if FileManager.default.fileExists(atPath: results.path) { try FileManager.default.removeItem(at: results) }
                try FileManager.default.createDirectory(at: results, withIntermediateDirectories: true)
            }
            await progress("Checking the files")
            let bundle = try open()
            manifest = bundle.manifest
            try bundle.verify()
            let golden = try GoldenRows(bundle)
            var artifacts: [Tested] = []
            for artifact in bundle.manifest.artifacts { artifacts.append(await test(bundle, artifact, golden, progress)) }
            if artifacts.allSatisfy({ $0.status == .skipped }) {
                throw Failure(.nothingToRun, ["reason": artifacts.compactMap(\.reason).joined(separator: " ")])
            }
            return Outcome(manifest: manifest, failure: nil, artifacts: artifacts)
        } catch {
            return Outcome(manifest: manifest, failure: inWords(error, manifest), artifacts: [])
        }
    }

    private func test(
        _ bundle: DroppedBundle, _ artifact: Artifact, _ golden: GoldenRows, _ progress: (String) async -> Void
    ) async -> Tested {
        do {
            await progress("Loading \(artifact.file)")
            let start = ContinuousClock.now
            let runner = try await runtimes.open(bundle, artifact)
            let load = milliseconds(since: start)
            await progress("Running the golden inputs through \(artifact.file)")
            let (raw, first) = try await runner.runAll(golden.inputs)
            let outputs = try raw.map { try checked($0, bundle.manifest, artifact) }
            try write(bundle.manifest, artifact, golden, outputs, runner)
            let legs = golden.legs(bundle.manifest, artifact, outputs)
            await progress("Timing \(artifact.file)")
            let latency = Latency(load: load, first: first, sorted: try await runner.latencies(golden.inputs, timing))
            let passed = !legs.isEmpty && legs.allSatisfy(\.passed)
            return Tested(
                artifact: artifact, status: passed ? .passed : .failed, runtime: runner.kernels, threads: runner.threads,
                reason: passed ? nil : reason(legs), latency: latency, legs: legs)
        } catch {
            let failure = inWords(error, bundle.manifest, artifact)
            let status: Tested.Status = failure.code == .noRuntime ? .skipped : .failed
            return Tested(artifact: artifact, status: status, failure: failure, reason: failure.says)
        }
    }

    private func write(
        _ manifest: Manifest, _ artifact: Artifact, _ golden: GoldenRows, _ outputs: [[Tensor]], _ runner: any ModelRunner
    ) throws {
        let runtime = runtimes.first { $0.format == artifact.format }
        let trace = Trace(
            inputs: golden.inputs, outputs: outputs, labels: golden.labels,
            origin: Trace.origin(
                manifest, artifact, device, runner, library: runtime?.name ?? "", version: runtime?.version))
        let file = artifact.file.replacingOccurrences(of: "/", with: "_") + ".npz"
        try writing(file) { try trace.npz().write(to: results.appending(path: file), options: .atomic) }
    }

    /// Runners throw failures; whatever else comes up is one of running.
    private func inWords(_ error: any Error, _ manifest: Manifest?, _ artifact: Artifact? = nil) -> Failure {
        error as? Failure
            ?? Failure(.runFailed, ["file": artifact?.file ?? manifest?.model.name ?? "The bundle", "reason": "\(error)"])
    }

    private func reason(_ legs: [Leg]) -> String {
        guard let leg = legs.first(where: { !$0.passed }) else { return "The bundle has no golden outputs of this artifact." }
        let against = leg.leg == .device ? "the host's run of the same file" : "the float reference"
        let what =
            if leg.metrics.nonFinite > 0 { "\(leg.metrics.nonFinite) values are not finite" }
            else if !leg.isWithinTolerance { "values are further from \(against) than the bundle allows" }
            else { leg.limits.filter { $0.result == .broken }.map(\.limit).joined(separator: ", ") + " is broken" }
        return "Output \(leg.output), leg \(leg.leg.rawValue): \(what)."
    }
}
