#if canImport(ExecuTorch)
import CPins
import EdgeKitCore
import ExecuTorch
import Foundation

/// ExecuTorch with the XNNPACK backend.
public struct ExecuTorchRuntime: Runtime {
    public let format = Format.pte
    public let name = "executorch"

    public init() {}

    /// The library does not say; it is the one that Package.swift pins: "swiftpm-1.5.1" is 1.5.1.
    public var version: String? {
        let branch = String(cString: edgekit_executorch_branch())
        return branch.hasPrefix("swiftpm-") ? String(branch.dropFirst("swiftpm-".count)) : nil
    }

    public func load(_ file: URL, artifact: Artifact, manifest: Manifest) async throws -> any ModelRunner {
        try ExecuTorchRunner(file, artifact, manifest, kernels: "ExecuTorch \(version ?? "") XNNPACK")
    }
}

/// A loaded .pte. An actor, for a `Module` is not to be used from several threads at once.
actor ExecuTorchRunner: ModelRunner {
    nonisolated let kernels: String
    /// ExecuTorch takes as many as there are fast cores, and does not say how many that are.
    nonisolated let threads: Int? = nil
    private let module: Module
    private let artifact: Artifact
    private let manifest: Manifest

    init(_ file: URL, _ artifact: Artifact, _ manifest: Manifest, kernels: String) throws {
        self.kernels = kernels
        self.artifact = artifact
        self.manifest = manifest
        module = Module(filePath: file.path, loadMode: .mmap)
        do {
            // The method, too: left to the first run, what is missing would only show there.
            try module.load("forward")
        } catch {
            throw Failure(.loadFailed, ["file": artifact.file, "reason": explained(error), "needs": artifact.needs])
        }
    }

    func run(_ inputs: [EdgeKitCore.Tensor]) throws -> [EdgeKitCore.Tensor] {
        // Without inputs the runtime would run on whatever lies in its memory, and not fail.
        guard !inputs.isEmpty, inputs.count == manifest.inputs.count else {
            throw Failure(.runFailed, [
                "file": artifact.file, "reason": "it takes \(manifest.inputs.count) inputs, not \(inputs.count)",
            ])
        }
        let values: [Value]
        do {
            values = try module.forward(inputs.map { $0.value })
        } catch {
            throw Failure(.runFailed, ["file": artifact.file, "reason": explained(error)])
        }
        return zip(manifest.outputs, values).compactMap { spec, value in tensor(spec.name, value) }
    }

    /// Copies an output: the runtime reuses its memory in the next run.
    private func tensor(_ name: String, _ value: Value) -> EdgeKitCore.Tensor? {
        guard let found = value.anyTensor, let dtype = DType.allCases.first(where: { $0.executorch == found.dataType }) else {
            return nil
        }
        var bytes: [UInt8] = []
        found.bytes { pointer, count, _ in
            bytes = Array(UnsafeRawBufferPointer(start: pointer, count: count * dtype.size))
        }
        return EdgeKitCore.Tensor(name: name, dtype: dtype, shape: found.shape, bytes: bytes)
    }
}

extension EdgeKitCore.Tensor {
    fileprivate var value: AnyTensor {
        // Copies the bytes.
        bytes.withUnsafeBytes { raw in
            AnyTensor(bytes: raw.baseAddress!, shape: shape, dataType: dtype.executorch)
        }
    }
}

extension DType {
    fileprivate var executorch: DataType {
        switch self {
        case .float32: .float
        case .float16: .half
        case .int64: .long
        case .int32: .int
        case .uint8: .byte
        case .int8: .char
        case .bool: .bool
        }
    }
}

/// What the runtime's codes mean to a person; their names are in ExecuTorchError.h.
func explained(_ error: any Swift.Error) -> String {
    let error = error as NSError
    let meaning: String? =
        switch error.code {
        case 0x10: "the inputs have a shape or type that the program was not built for"
        case 0x12: "the program does not accept these arguments"
        case 0x14: "an operator is missing from the linked kernel libraries"
        case 0x20: "the delegate's backend is not linked into this app; is -all_load among the linker's flags?"
        case 0x21: "there is not enough memory"
        case 0x22: "the file is missing or unreadable"
        case 0x23: "the file is truncated or not a .pte"
        case 0x30: "a backend of this runtime does not read what was made for it"
        default: nil
        }
    let code = "code 0x\(String(error.code, radix: 16))"
    return meaning.map { "\($0) (\(code))" } ?? "\(error.localizedDescription) (\(code))"
}
#endif
