import Foundation

/// A runtime that is linked into the app.
public protocol Runtime: Sendable {
    /// The files that it loads.
    var format: Format { get }
    /// The name that `minimum_runtime` uses: "executorch" or "onnxruntime".
    var name: String { get }
    /// Its version; nil if the app does not know it.
    var version: String? { get }
    /// Loads an artifact whose sha256 was checked. Throws a `Failure`.
    func load(_ file: URL, artifact: Artifact, manifest: Manifest) async throws -> any ModelRunner
}

/// A loaded artifact. An actor: the runtimes' modules and sessions are not to be used from several threads at once.
public protocol ModelRunner: Actor {
    /// The library whose kernels run, for the trace: "ONNX Runtime 1.24.2 CPU".
    nonisolated var kernels: String { get }
    /// The processor family whose arithmetic they follow: "arm64" or "x86_64".
    nonisolated var arithmetic: String { get }
    /// Threads that it computes with; nil if the runtime chooses, and does not say.
    nonisolated var threads: Int? { get }
    /// Runs the inputs, in the manifest's order, and returns the outputs in its order.
    func run(_ inputs: [Tensor]) throws -> [Tensor]
}

/// How often and how long an artifact is timed.
public struct Timing: Sendable {
    public var warmUp = 50
    public var runs = 200
    public var seconds = 20.0

    public init() {}
}

extension ModelRunner {
    public nonisolated var arithmetic: String { Device.processor }

    /// Runs the rows once, and returns the outputs of each with the milliseconds that the first took.
    func runAll(_ rows: [[Tensor]]) throws -> (outputs: [[Tensor]], first: Double) {
        let (first, milliseconds) = try timed { try run(rows[0]) }
        return ([first] + (try rows.dropFirst().map(run)), milliseconds)
    }

    /// Runs the rows in turn, and returns how many milliseconds each run took, sorted. No run waits for another actor.
    func latencies(_ rows: [[Tensor]], _ timing: Timing) throws -> [Double] {
        let start = ContinuousClock.now
        func late() -> Bool { ContinuousClock.now - start > .seconds(timing.seconds) }
        for index in 0..<timing.warmUp where !late() { _ = try run(rows[index % rows.count]) }
        var found: [Double] = []
        // One run at least, however slow the model is.
        while found.count < timing.runs && (found.isEmpty || !late()) {
            found.append(try timed { try run(rows[found.count % rows.count]) }.milliseconds)
        }
        return found.sorted()
    }

    private func timed<Result>(_ work: () throws -> Result) rethrows -> (result: Result, milliseconds: Double) {
        let start = ContinuousClock.now
        let result = try work()
        return (result, milliseconds(since: start))
    }
}

func milliseconds(since start: ContinuousClock.Instant) -> Double {
    let (seconds, attoseconds) = (ContinuousClock.now - start).components
    return Double(seconds) * 1e3 + Double(attoseconds) * 1e-15
}

extension [any Runtime] {
    /// Opens an artifact whose sha256 was checked, if there is a runtime for it and it is new enough.
    func open(_ bundle: DroppedBundle, _ artifact: Artifact) async throws -> any ModelRunner {
        guard let runtime = first(where: { $0.format == artifact.format }) else {
            throw Failure(.noRuntime, ["file": artifact.file, "format": artifact.format.rawValue])
        }
        let needed = artifact.minimumRuntime.split(separator: " ").last.map(String.init) ?? ""
        if let version = runtime.version, isOlder(version, than: needed) {
            throw Failure(.runtimeTooOld, [
                "file": artifact.file, "needed": artifact.minimumRuntime, "found": "\(runtime.name) \(version)",
            ])
        }
        return try await runtime.load(bundle.folder.appending(path: artifact.file), artifact: artifact, manifest: bundle.manifest)
    }
}

/// Whether a version is older than another; what follows the numbers (rc1, +cpu) does not count.
func isOlder(_ version: String, than needed: String) -> Bool {
    func numbers(_ text: String) -> [Int] {
        text.prefix { $0.isNumber || $0 == "." }.split(separator: ".").compactMap { Int($0) }
    }
    let have = numbers(version), want = numbers(needed), length = max(have.count, want.count)
    func padded(_ numbers: [Int]) -> [Int] { numbers + [Int](repeating: 0, count: length - numbers.count) }
    return padded(have).lexicographicallyPrecedes(padded(want))
}

/// An artifact that answers for pictures and sounds: preprocessing before it, classes behind it.
public struct Predictor: Sendable {
    /// What the model says of one input.
    public struct Answer: Sendable {
        public let outputs: [Tensor]
        /// Labels with probabilities, likeliest first; empty if the model is no classifier.
        public let classes: [Ranked]
        public let milliseconds: Double
    }

    public let manifest: Manifest
    public let artifact: Artifact
    private let runner: any ModelRunner

    public init(_ bundle: DroppedBundle, _ artifact: Artifact, _ runtimes: [any Runtime]) async throws {
        manifest = bundle.manifest
        self.artifact = artifact
        try bundle.verify(artifact)
        runner = try await runtimes.open(bundle, artifact)
    }

    public func answer(_ picture: Picture) async throws -> Answer {
        guard let spec = manifest.preprocessing, manifest.inputs.count == 1 else {
            throw Failure(.noPictureInput, ["model": manifest.model.name])
        }
        return try await answer([preprocess(picture, spec, name: manifest.inputs[0].name)])
    }

    /// Runs a sound: the mean of its channels, from -1 to 1, at so many samples a second.
    public func answer(_ samples: [Float], rate: Int) async throws -> Answer {
        try await answer([manifest.heard(samples, rate: rate)])
    }

    /// Runs inputs that are tensors already.
    public func answer(_ inputs: [Tensor]) async throws -> Answer {
        let (rows, milliseconds) = try await runner.runAll([inputs])
        let outputs = try checked(rows[0], manifest, artifact)
        guard let logits = manifest.logits, outputs[logits].shape.count == 2 else {
            return Answer(outputs: outputs, classes: [], milliseconds: milliseconds)
        }
        let ranked = classes(outputs[logits].doubles(), labels: manifest.labels)
        return Answer(outputs: outputs, classes: ranked, milliseconds: milliseconds)
    }
}

/// Makes sure that a runtime gave what the manifest promises.
func checked(_ outputs: [Tensor], _ manifest: Manifest, _ artifact: Artifact) throws -> [Tensor] {
    for (index, spec) in manifest.outputs.enumerated() {
        let found = outputs.indices.contains(index) ? outputs[index] : nil
        if let found, spec.fits(found) { continue }
        let words = found.map { "\($0.dtype.rawValue) \($0.shape.map(String.init).joined(separator: "x"))" } ?? "nothing"
        throw Failure(.wrongOutput, ["file": artifact.file, "found": words, "output": spec.name, "expected": spec.words])
    }
    return outputs
}
