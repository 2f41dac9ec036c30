/// How a sound becomes the input, as data; `heard` follows it.
public struct Audio: Decodable, Sendable {
    /// Samples a second that the model takes.
    public let rate: Int
    /// Samples that a sound is cut off at or filled up to.
    public let length: Int
    /// The spectrogram that the input is; nil: the samples themselves.
    public let features: Features?

    /// Numbers of the input.
    public var size: Int { features.map { $0.frames(length) * $0.bands } ?? length }
}

/// How a text becomes the inputs, as data. The file is a `tokenizer.json` of Hugging Face's library `tokenizers`, which an
/// app brings along; this one hands over no texts.
public struct Tokenizer: Decodable, Sendable {
    public enum Part: String, Decodable, Sendable { case ids, mask = "attention_mask", types = "type_ids" }

    public let file: String
    public let sha256: String
    /// Texts are cut off, or padded, to so many tokens.
    public let length: Int
    /// What each input is of that which the tokenizer gives.
    public let inputs: [String: Part]
}

/// A spectrogram: the steps of `audio.features` in the manifest.
public struct Features: Decodable, Sendable {
    public enum Window: String, Decodable, Sendable { case hann, hamming }
    public enum PadMode: String, Decodable, Sendable { case reflect, constant }
    public enum MelScale: String, Decodable, Sendable { case htk, slaney }
    public enum MelNorm: String, Decodable, Sendable { case none, slaney }
    public enum Log: String, Decodable, Sendable { case none, natural, log10, db }
    public enum Layout: String, Decodable, Sendable { case ft = "FT", tf = "TF" }

    public let size: Int
    public let hop: Int
    public let windowLength: Int?
    public let window: Window
    public let center: Bool
    public let padMode: PadMode
    public let dropLast: Bool
    public var power: Int
    public let mels: Int?
    public let low: Double
    public let high: Double?
    public let melScale: MelScale
    public let melNorm: MelNorm
    public let log: Log
    public let floor: Double
    public let offset: Double
    public let range: Double?
    public let cosines: Int?
    public let mean: [Double]
    public let std: [Double]
    public let layout: Layout

    enum CodingKeys: String, CodingKey {
        case center, power, log, floor, offset, mean, std, layout, window
        case size = "n_fft", hop = "hop_length", windowLength = "win_length", padMode = "pad_mode", dropLast = "drop_last"
        case mels = "n_mels", low = "f_min", high = "f_max", melScale = "mel_scale", melNorm = "mel_norm"
        case range = "dynamic_range", cosines = "n_mfcc"
    }

    /// Values of a frame.
    public var bands: Int { cosines ?? mels ?? (size / 2 + 1) }

    /// Frames of so many samples.
    public func frames(_ length: Int) -> Int {
        let padded = center ? length + 2 * (size / 2) : length
        return padded < size ? 0 : (padded - size) / hop + 1 - (dropLast ? 1 : 0)
    }
}

extension Audio {
    // As in the SDK: no model for phones takes more.
    private static let mostRate = 1_000_000, mostSamples = 1 << 25, mostBins = 1 << 15, mostBands = 1 << 10
    private static let mostFeatures = 1 << 25, mostFramed = 1 << 30

    /// Where a manifest asks for what cannot be, and why; nil: nowhere.
    var fault: (place: String, reason: String)? {
        guard 1...Self.mostRate ~= rate else { return ("audio.rate", "must be within 1 and \(Self.mostRate)") }
        guard 1...Self.mostSamples ~= length else { return ("audio.length", "must be within 1 and \(Self.mostSamples)") }
        guard let features else { return nil }
        func wrong(_ key: String, _ reason: String) -> (String, String) { ("audio.features.\(key)", reason) }
        guard 2...Self.mostBins ~= features.size else { return wrong("n_fft", "must be within 2 and \(Self.mostBins)") }
        guard features.hop > 0 else { return wrong("hop_length", "must be greater than 0") }
        guard 1...features.size ~= features.windowLength ?? 1 else { return wrong("win_length", "must be within 1 and n_fft") }
        guard 1...2 ~= features.power else { return wrong("power", "must be 1 or 2") }
        guard 1...Self.mostBands ~= features.mels ?? 1 else { return wrong("n_mels", "must be within 1 and \(Self.mostBands)") }
        guard 1...(features.mels ?? 1) ~= features.cosines ?? 1, features.cosines == nil || features.mels != nil else {
            return wrong("n_mfcc", "must be within 1 and n_mels")
        }
        let frames = features.frames(length), top = features.high ?? Double(rate) / 2
        guard frames > 0, !features.center || features.padMode == .constant || length > features.size / 2 else {
            return ("audio.length", "\(length) is too short for frames of \(features.size)")
        }
        guard frames * features.bands <= Self.mostFeatures, frames * features.size <= Self.mostFramed else {
            return ("audio.length", "\(length) is more than a phone computes")
        }
        guard features.low >= 0, features.low < top, top <= Double(rate) / 2 else {
            return wrong("f_min", "is no frequency of bands")
        }
        guard features.floor > 0, features.offset >= 0, features.range ?? 1 > 0 else {
            return wrong("floor", "floor and dynamic_range must be greater than 0")
        }
        guard features.std.allSatisfy({ $0 > 0 }) else { return wrong("std", "must be greater than 0") }
        for (key, values) in [("mean", features.mean), ("std", features.std)] where ![1, features.bands].contains(values.count) {
            return wrong(key, "has \(values.count) values for \(features.bands) band(s)")
        }
        return nil
    }
}
