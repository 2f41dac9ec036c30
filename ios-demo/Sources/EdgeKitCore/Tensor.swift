/// Element types, by their names in the manifest.
public enum DType: String, Codable, Sendable, CaseIterable {
    case float32, float16, int64, int32, uint8, int8, bool

    /// Bytes of one element.
    public var size: Int {
        switch self {
        case .int64: 8
        case .float32, .int32: 4
        case .float16: 2
        case .uint8, .int8, .bool: 1
        }
    }

    /// The name in numpy's files: little-endian.
    var numpy: String {
        switch self {
        case .float32: "<f4"
        case .float16: "<f2"
        case .int64: "<i8"
        case .int32: "<i4"
        case .uint8: "|u1"
        case .int8: "|i1"
        case .bool: "|b1"
        }
    }
}

/// A named array: raw little-endian values in C order, as they lie in a bundle and in every processor that iOS runs on.
public struct Tensor: Sendable, Equatable {
    public let name: String
    public let dtype: DType
    /// Sizes, batch of one included.
    public let shape: [Int]
    public let bytes: [UInt8]

    /// Returns nil if the bytes are not as many as type and shape ask for.
    public init?(name: String, dtype: DType, shape: [Int], bytes: [UInt8]) {
        guard bytes.count == shape.reduce(dtype.size, *) else { return nil }
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    /// An array of floats; `shape` must fit.
    public init(name: String, shape: [Int], floats: [Float]) {
        precondition(floats.count == shape.reduce(1, *))
        self.init(unchecked: name, dtype: .float32, shape: shape, bytes: floats.withUnsafeBytes { Array($0) })
    }

    /// An array of bytes; `shape` must fit.
    public init(name: String, shape: [Int], values: [UInt8]) {
        precondition(values.count == shape.reduce(1, *))
        self.init(unchecked: name, dtype: .uint8, shape: shape, bytes: values)
    }

    private init(unchecked name: String, dtype: DType, shape: [Int], bytes: [UInt8]) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    /// Number of elements.
    public var count: Int { bytes.count / dtype.size }

    /// The elements as metrics take them.
    public func doubles() -> [Double] {
        switch dtype {
        case .float32: elements(UInt32.self) { Double(Float(bitPattern: $0)) }
        case .float16: elements(UInt16.self, Self.half)
        case .int64: elements(Int64.self) { Double($0) }
        case .int32: elements(Int32.self) { Double($0) }
        case .uint8, .bool: bytes.map(Double.init)
        case .int8: bytes.map { Double(Int8(bitPattern: $0)) }
        }
    }

    private func elements<Raw: FixedWidthInteger>(_: Raw.Type, _ value: (Raw) -> Double) -> [Double] {
        bytes.withUnsafeBytes { raw in
            (0..<count).map { value(Raw(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * dtype.size, as: Raw.self))) }
        }
    }

    /// IEEE half precision by hand: Swift's Float16 is not there on every platform that this compiles for.
    private static func half(_ bits: UInt16) -> Double {
        let sign: Double = bits & 0x8000 == 0 ? 1 : -1
        let exponent = Int(bits >> 10 & 0x1f), fraction = Double(bits & 0x3ff)
        switch exponent {
        case 0: return sign * fraction * 0x1p-24
        case 31: return fraction == 0 ? sign * .infinity : .nan
        default: return sign * Double(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
        }
    }
}
