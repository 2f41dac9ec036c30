// For tests on Linux only, where ExecuTorch has no Swift module: the part of its Swift interface that the runner could
// mistake, written anew from the public headers of ExecuTorch 1.5.1 as Swift imports them. Nothing here runs.
//
// Source: github.com/pytorch/executorch, commit cff6f4dd32e630945b7188512c1f2b4f102b05ad, extension/apple/ExecuTorch/
// Exported: ExecuTorchModule.h, ExecuTorchTensor.h, ExecuTorchValue.h, ExecuTorch+Module.swift, ExecuTorch+Tensor.swift,
// ExecuTorch+Value.swift.
import Foundation

private func stub() -> Never { fatalError("ExecuTorch does not run here: this module is for the type checker.") }

public enum ModuleLoadMode: Int {
    case file = 0
    case mmap, mmapUseMlock, mmapUseMlockIgnoreErrors
}

public enum ModuleVerification: UInt8 {
    case minimal, internalConsistency
}

public enum ShapeDynamism: UInt8 {
    case `static`, dynamicBound, dynamicUnbound
}

public enum DataType: Int8 {
    case byte, char, short, int, long, half, float, double, complexHalf, complexFloat, complexDouble, bool
    case qInt8, quInt8, qInt32, bFloat16, quInt4x2, quInt2x4, bits1x8, bits2x4, bits4x2, bits8, bits16
    case float8_e5m2, float8_e4m3fn, float8_e5m2fnuz, float8_e4m3fnuz, uInt16, uInt32, uInt64, undefined, numOptions
}

public final class AnyTensor: NSObject {
    public var dataType: DataType { stub() }
    public var shape: [Int] { stub() }
    public var strides: [Int] { stub() }
    public var dimensionOrder: [Int] { stub() }
    public var count: Int { stub() }
    public var shapeDynamism: ShapeDynamism { stub() }

    public convenience init(
        bytesNoCopy pointer: UnsafeMutableRawPointer, shape: [Int], strides: [Int] = [], dimensionOrder: [Int] = [],
        dataType: DataType, shapeDynamism: ShapeDynamism = .dynamicBound
    ) { stub() }

    public convenience init(
        bytes pointer: UnsafeRawPointer, shape: [Int], strides: [Int] = [], dimensionOrder: [Int] = [],
        dataType: DataType, shapeDynamism: ShapeDynamism = .dynamicBound
    ) { stub() }

    public convenience init(
        data: Data, shape: [Int], strides: [Int] = [], dimensionOrder: [Int] = [], dataType: DataType,
        shapeDynamism: ShapeDynamism = .dynamicBound
    ) { stub() }

    public func bytes(_ handler: (UnsafeRawPointer, Int, DataType) -> Void) { stub() }
    public func mutableBytes(_ handler: (UnsafeMutableRawPointer, Int, DataType) -> Void) { stub() }
}

public final class Value: NSObject {
    public convenience init(_ value: AnyTensor) { stub() }
    public var anyTensor: AnyTensor? { stub() }
    public var isNone: Bool { stub() }
    public var isTensor: Bool { stub() }
}

public protocol Scalar {
    static var dataType: DataType { get }
}

extension Float: Scalar {
    public static var dataType: DataType { .float }
}

/// In the way of EdgeKitCore's type of the same name, as the real one is.
public final class Tensor<T: Scalar> {
    public let anyTensor: AnyTensor
    public init(_ tensor: AnyTensor) { anyTensor = tensor }
    public func scalars() -> [T] { stub() }
}

public protocol ValueConvertible {
    func asValue() -> Value
}

public protocol ValueConstructible {
    static func from(_ value: Value) throws -> Self
}

public protocol ValueSequenceConstructible {
    static func from(_ values: [Value]) throws -> Self
}

extension Value: ValueConvertible, ValueConstructible, ValueSequenceConstructible {
    public func asValue() -> Value { self }
    public static func from(_ value: Value) throws -> Self { stub() }
    public static func from(_ values: [Value]) throws -> Self { stub() }
}

extension AnyTensor: ValueConvertible, ValueConstructible, ValueSequenceConstructible {
    public func asValue() -> Value { stub() }
    public static func from(_ value: Value) throws -> Self { stub() }
    public static func from(_ values: [Value]) throws -> Self { stub() }
}

extension Tensor: ValueConvertible {
    public func asValue() -> Value { stub() }
}

extension Array: ValueSequenceConstructible where Element: ValueConstructible {
    public static func from(_ values: [Value]) throws -> [Element] { stub() }
}

public class Module: NSObject {
    public init(filePath: String, dataFilePaths: [String], loadMode: ModuleLoadMode) { stub() }
    public convenience init(filePath: String, loadMode: ModuleLoadMode) { stub() }
    public convenience init(filePath: String) { stub() }

    public func load(_ verification: ModuleVerification) throws { stub() }
    public func load() throws { stub() }
    public func isLoaded() -> Bool { stub() }
    public func load(_ methodName: String) throws { stub() }
    public func isLoaded(_ methodName: String) -> Bool { stub() }
    public func unload(_ methodName: String) -> Bool { stub() }

    public func execute(_ method: String, _ inputs: [ValueConvertible]) throws -> [Value] { stub() }
    public func execute(_ method: String, _ inputs: ValueConvertible...) throws -> [Value] { stub() }
    public func forward(_ inputs: [ValueConvertible]) throws -> [Value] { stub() }
    public func forward(_ inputs: ValueConvertible...) throws -> [Value] { stub() }
    public func forward<Output: ValueSequenceConstructible>(_ inputs: [ValueConvertible]) throws -> Output { stub() }
    public func forward<Output: ValueSequenceConstructible>(_ inputs: ValueConvertible...) throws -> Output { stub() }
    public func forward<Output: ValueSequenceConstructible>(_ input: ValueConvertible) throws -> Output { stub() }
    public func forward<Output: ValueSequenceConstructible>() throws -> Output { stub() }
}
