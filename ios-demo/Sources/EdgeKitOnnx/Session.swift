import COnnxRuntime
import EdgeKitCore
import Foundation

/// What ONNX Runtime says went wrong.
struct OnnxError: Error {
    let message: String
}

/// Owner of a session of ONNX Runtime, and of all that belongs to it. Not for several threads at once.
final class Session {
    private let api: OrtApi
    private var environment: OpaquePointer?
    private var session: OpaquePointer?
    private var memory: OpaquePointer?
    private let inputNames: [UnsafePointer<CChar>?]
    private let outputNames: [UnsafePointer<CChar>?]

    /// The library's own version.
    static var version: String { OrtGetApiBase().pointee.GetVersionString().map { String(cString: $0) } ?? "unknown" }

    /// Loads a file.
    ///
    /// - Parameters:
    ///   - settings: Entries of the session's configuration.
    ///   - unfused: Whether to leave the graph's operators as they stand.
    init(
        _ file: URL, inputs: [String], outputs: [String], threads: Int, settings: [String: String] = [:], unfused: Bool = false
    ) throws {
        let wanted = UInt32(ORT_API_VERSION)
        guard let table = OrtGetApiBase().pointee.GetApi(wanted) else {
            throw OnnxError(message: "the library, version \(Self.version), has no C API of version \(wanted)")
        }
        api = table.pointee
        inputNames = inputs.map { UnsafePointer(strdup($0)) }
        outputNames = outputs.map { UnsafePointer(strdup($0)) }
        // What fails is thrown; a log beside that is for nobody on a phone.
        try check(api.CreateEnv(ORT_LOGGING_LEVEL_FATAL, "edgekit", &environment))
        try check(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory))
        var options: OpaquePointer?
        try check(api.CreateSessionOptions(&options))
        defer { api.ReleaseSessionOptions(options) }
        try check(api.SetIntraOpNumThreads(options, Int32(threads)))
        if unfused { try check(api.SetSessionGraphOptimizationLevel(options, ORT_ENABLE_BASIC)) }
        for (key, value) in settings { try check(api.AddSessionConfigEntry(options, key, value)) }
        try check(api.CreateSession(environment, file.path, options, &session))
    }

    deinit {
        api.ReleaseSession(session)
        api.ReleaseMemoryInfo(memory)
        api.ReleaseEnv(environment)
        for name in inputNames + outputNames { free(UnsafeMutablePointer(mutating: name)) }
    }

    /// Runs inputs in the order of their names, and returns the outputs in the order of theirs.
    func run(_ inputs: [Tensor], _ names: [String]) throws -> [Tensor] {
        guard inputs.count == inputNames.count else {
            throw OnnxError(message: "it takes \(inputNames.count) inputs, not \(inputs.count)")
        }
        var values: [OpaquePointer?] = [], copies: [UnsafeMutableRawBufferPointer] = []
        defer {
            values.forEach { api.ReleaseValue($0) }
            copies.forEach { $0.deallocate() }
        }
        for input in inputs {
            // The runtime reads the bytes during the run.
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, input.bytes.count), alignment: 64)
            copy.copyBytes(from: input.bytes)
            copies.append(copy)
            var value: OpaquePointer?
            try check(api.CreateTensorWithDataAsOrtValue(
                memory, copy.baseAddress, input.bytes.count, input.shape.map(Int64.init), input.shape.count,
                Self.type(input.dtype), &value))
            values.append(value)
        }
        var results = [OpaquePointer?](repeating: nil, count: names.count)
        defer { results.forEach { api.ReleaseValue($0) } }
        try check(api.Run(session, nil, inputNames, values, values.count, outputNames, names.count, &results))
        return try zip(names, results).map { try tensor($0, $1) }
    }

    private func tensor(_ name: String, _ value: OpaquePointer?) throws -> Tensor {
        var info: OpaquePointer?
        try check(api.GetTensorTypeAndShape(value, &info))
        defer { api.ReleaseTensorTypeAndShapeInfo(info) }
        var type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, rank = 0
        try check(api.GetTensorElementType(info, &type))
        try check(api.GetDimensionsCount(info, &rank))
        var shape = [Int64](repeating: 0, count: rank)
        try check(api.GetDimensions(info, &shape, rank))
        guard let dtype = DType.allCases.first(where: { Self.type($0) == type }) else {
            throw OnnxError(message: "output \(name) is of a type that the manifest knows no name for, \(type.rawValue)")
        }
        var data: UnsafeMutableRawPointer?
        try check(api.GetTensorMutableData(value, &data))
        let sizes = shape.map(Int.init)
        let bytes = UnsafeRawBufferPointer(start: data, count: sizes.reduce(dtype.size, *))
        guard let tensor = Tensor(name: name, dtype: dtype, shape: sizes, bytes: Array(bytes)) else {
            throw OnnxError(message: "output \(name) has the shape \(sizes)")
        }
        return tensor
    }

    private static func type(_ dtype: DType) -> ONNXTensorElementDataType {
        switch dtype {
        case .float32: ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
        case .float16: ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
        case .int64: ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
        case .int32: ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32
        case .uint8: ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8
        case .int8: ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8
        case .bool: ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL
        }
    }

    private func check(_ status: OpaquePointer?) throws {
        guard let status else { return }
        defer { api.ReleaseStatus(status) }
        throw OnnxError(message: api.GetErrorMessage(status).map { String(cString: $0) } ?? "it does not say why")
    }
}
