import COnnxRuntime
import EdgeKitCore
import Foundation

/// ONNX Runtime through its C API, the same on a phone and on the Linux machine that tests this file.
public struct OnnxRuntime: Runtime {
    public let format = Format.onnx
    public let name = "onnxruntime"
    private let threads: Int

    /// - Parameter threads: How many threads a run computes with.
    public init(threads: Int = min(4, ProcessInfo.processInfo.activeProcessorCount)) {
        self.threads = threads
    }

    public var version: String? { Session.version }

    public func load(_ file: URL, artifact: Artifact, manifest: Manifest) async throws -> any ModelRunner {
        try OnnxRunner(file, artifact, manifest, threads)
    }
}

/// A loaded .onnx.
actor OnnxRunner: ModelRunner {
    nonisolated let kernels: String
    nonisolated let threads: Int?
    nonisolated let arithmetic: String
    private let session: Session
    private let file: String
    private let outputs: [String]

    init(_ file: URL, _ artifact: Artifact, _ manifest: Manifest, _ threads: Int) throws {
        self.file = artifact.file
        self.threads = threads
        outputs = manifest.outputs.map(\.name)
        let library = "ONNX Runtime \(Session.version) CPU"
        // Which kernels are chosen below.
        arithmetic = manifest.target.cpu == "arm64" ? "arm64" : Device.processor
        do {
            #if arch(x86_64)
            // The simulator of an Intel Mac, and the tests. Without VNNI, x86 kernels for int8 weights add in 16 bits
            // and saturate; ARM's do not. The host that wrote a bundle for ARM took the slower exact kernels.
            if manifest.target.cpu == "arm64" {
                (session, kernels) = try Self.exact(file, manifest, threads, library)
                return
            }
            #endif
            session = try Session(file, inputs: manifest.inputs.map(\.name), outputs: outputs, threads: threads)
            kernels = library
        } catch let error as OnnxError {
            throw Failure(.loadFailed, ["file": artifact.file, "reason": error.message, "needs": artifact.needs])
        }
    }

    private static func exact(
        _ file: URL, _ manifest: Manifest, _ threads: Int, _ library: String
    ) throws -> (Session, String) {
        let inputs = manifest.inputs.map(\.name), outputs = manifest.outputs.map(\.name)
        do {
            let session = try Session(
                file, inputs: inputs, outputs: outputs, threads: threads, settings: ["session.x64quantprecision": "1"])
            return (session, "\(library), exact int8 kernels")
        } catch is OnnxError {
            // As the SDK does: this setting fails where one activation feeds several MatMuls. The graph as it stands
            // computes the same in float between the same roundings.
            return (try Session(file, inputs: inputs, outputs: outputs, threads: threads, unfused: true), "\(library), unfused")
        }
    }

    func run(_ inputs: [Tensor]) throws -> [Tensor] {
        do {
            return try session.run(inputs, outputs)
        } catch let error as OnnxError {
            throw Failure(.runFailed, ["file": file, "reason": error.message])
        }
    }
}
