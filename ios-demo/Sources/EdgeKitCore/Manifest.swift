/// `manifest.json`: all that an app needs to load, feed, read and check the artifacts of a bundle.
///
/// Only what an app uses is read. Keys that it does not know are left alone: what an app must understand changes the
/// schema version.
public struct Manifest: Decodable, Sendable {
    public static let version = 1

    public let model: Model
    public let target: TargetInfo
    public let artifacts: [Artifact]
    public let inputs: [TensorSpec]
    public let outputs: [TensorSpec]
    /// How a picture becomes the input; nil if the input is no picture.
    public let preprocessing: Preprocessing?
    /// How a sound becomes the input; nil if the input is no sound.
    public let audio: Audio?
    /// How a text becomes the inputs; nil if they are no text.
    public let text: Tokenizer?
    /// Names of the classes, in the order of the output.
    public let labels: [String]
    public let golden: [Golden]
    public let budget: Budget

    /// Where in the outputs a classifier's logits are, if there are any.
    public var logits: Int? { outputs.firstIndex { $0.meaning == "logits" } }

    /// Every file that the manifest names, with its sha256.
    public var files: [(path: String, sha256: String)] {
        artifacts.map { ($0.file, $0.sha256) } + (text.map { [($0.file, $0.sha256)] } ?? [])
            + golden.flatMap { $0.inputs.map { ($0.file, $0.sha256) } + $0.outputs.map { ($0.tensor.file, $0.tensor.sha256) } }
    }
}

public struct Model: Decodable, Sendable {
    public let name: String
    public let weightsSHA256: String

    enum CodingKeys: String, CodingKey {
        case name, weightsSHA256 = "weights_sha256"
    }
}

public struct TargetInfo: Decodable, Sendable {
    public let name: String
    /// The processor family whose arithmetic the golden outputs follow: "arm64" or "x86_64".
    public let cpu: String
}

/// The artifact formats.
public enum Format: String, Decodable, Sendable {
    case pte, onnx
}

/// One file that a runtime loads.
public struct Artifact: Decodable, Sendable {
    public let format: Format
    public let file: String
    public let sha256: String
    public let bytes: Int
    public let quantization: String
    public let minimumRuntime: String
    public let operators: [String]
    public let delegates: [String]

    /// What the runtime must carry, in words.
    public var needs: String { ([minimumRuntime] + delegates + operators).joined(separator: ", ") }

    enum CodingKeys: String, CodingKey {
        case format, file, sha256, bytes, quantization, operators, delegates, minimumRuntime = "minimum_runtime"
    }
}

/// A size, or the name of one that may differ from call to call.
public enum Dimension: Decodable, Sendable, CustomStringConvertible {
    case size(Int), name(String)

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self = if let name = try? container.decode(String.self) { .name(name) } else { .size(try container.decode(Int.self)) }
    }

    public var description: String {
        switch self {
        case .size(let size): "\(size)"
        case .name(let name): name
        }
    }
}

/// A named input or output.
public struct TensorSpec: Decodable, Sendable {
    public let name: String
    public let dtype: DType
    public let shape: [Dimension]
    public let meaning: String

    /// Whether a tensor can be this one.
    public func fits(_ tensor: Tensor) -> Bool {
        tensor.dtype == dtype && tensor.shape.count == shape.count
            && zip(shape, tensor.shape).allSatisfy { wanted, found in
                if case .size(let size) = wanted { size == found } else { true }
            }
    }

    /// Type and shape in words.
    public var words: String { "\(dtype.rawValue) \(shape.map(\.description).joined(separator: "x"))" }
}

/// How a picture becomes an input, as data; `preprocess` follows it.
public struct Preprocessing: Decodable, Sendable {
    public enum Color: String, Decodable, Sendable { case grey, rgb, bgr }
    public enum Mode: String, Decodable, Sendable { case stretch, cover, shorter, letterbox }
    public enum Filter: String, Decodable, Sendable { case nearest, bilinear, bicubic }
    public enum Layout: String, Decodable, Sendable { case nchw = "NCHW", nhwc = "NHWC" }

    public struct Resize: Decodable, Sendable {
        public let height: Int
        public let width: Int
        public let mode: Mode
        public let filter: Filter
        /// For the mode `shorter`: the length of the shorter side before the centre is cut out.
        public let shorter: Int?
        /// The grey level around a picture that is smaller; nil, in bundles of old: 0.
        public let pad: Int?
        /// Whether the filter widens where a picture becomes smaller; nil, in bundles of old: it does.
        public let antialias: Bool?
    }

    public let color: Color
    /// The grey level behind transparent pixels.
    public let background: Int
    public let resize: Resize
    public let scale: Double
    public let mean: [Double]
    public let std: [Double]
    public let layout: Layout
    /// Whether scale, mean and std are the model's own first steps, so that it takes bytes; nil: they are not.
    public let inGraph: Bool?

    enum CodingKeys: String, CodingKey {
        case color, background, resize, scale, mean, std, layout, inGraph = "in_graph"
    }

    public var channels: Int { color == .grey ? 1 : 3 }
}

/// One raw little-endian file.
public struct GoldenTensor: Decodable, Sendable {
    public let name: String
    public let file: String
    public let sha256: String
    public let dtype: DType
    public let shape: [Int]
}

/// An output to expect: whose it is (nil: the float reference's), and how far from it a right answer may be.
public struct GoldenOutput: Decodable, Sendable {
    public let tensor: GoldenTensor
    public let artifact: String?
    public let maxAbsError: Double

    enum CodingKeys: String, CodingKey {
        case artifact, maxAbsError = "max_abs_error"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        tensor = try GoldenTensor(from: decoder)
        artifact = try container.decodeIfPresent(String.self, forKey: .artifact)
        maxAbsError = try container.decode(Double.self, forKey: .maxAbsError)
    }
}

/// One input with the outputs to expect.
public struct Golden: Decodable, Sendable {
    /// The true class, if known.
    public let label: Int64?
    public let inputs: [GoldenTensor]
    public let outputs: [GoldenOutput]
}
