import Foundation

extension Manifest {
    private struct Version: Decodable {
        let found: String?

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            found = (try? container.decodeIfPresent(Int.self, forKey: Key("schema_version"))).flatMap { $0.map(String.init) }
        }
    }

    /// Reads the text of a manifest.
    ///
    /// - Throws: `Failure`, with the place in the manifest that is wrong.
    public static func parse(_ text: Data, file: String = "manifest.json") throws -> Manifest {
        let found: String?
        do {
            found = try JSONDecoder().decode(Version.self, from: text).found
        } catch {
            throw Failure(.notAManifest, ["file": file, "reason": explained(error).reason])
        }
        guard found == String(version) else {
            throw Failure(.manifestVersion, ["file": file, "found": found ?? "none", "expected": String(version)])
        }
        do {
            let manifest = try JSONDecoder().decode(Manifest.self, from: text)
            try manifest.check()
            return manifest
        } catch {
            let (place, reason) = explained(error)
            throw Failure(.manifestSchema, ["file": file, "place": place, "reason": reason])
        }
    }

    private struct Fault: Error {
        let place: String
        let reason: String
    }

    /// What types alone do not say.
    private func check() throws {
        try check("model.name", model.name, Self.isName)
        try check("model.weights_sha256", model.weightsSHA256, Self.isSHA256)
        try check("target.name", target.name, Self.isName)
        guard !artifacts.isEmpty else { throw Fault(place: "artifacts", reason: "must name at least one artifact") }
        for (number, artifact) in artifacts.enumerated() {
            try check("artifacts.\(number).file", artifact.file, Self.isPath)
            try check("artifacts.\(number).sha256", artifact.sha256, Self.isSHA256)
        }
        for (key, specs) in [("inputs", inputs), ("outputs", outputs)] {
            for (number, spec) in specs.enumerated() {
                try check("\(key).\(number).name", spec.name, Self.isIdentifier)
                for case .size(let size) in spec.shape where size < 1 {
                    throw Fault(place: "\(key).\(number).shape", reason: "\(size) must be greater than 0")
                }
            }
        }
        for (number, row) in golden.enumerated() {
            for tensor in row.inputs + row.outputs.map(\.tensor) {
                try check("golden.\(number).\(tensor.name).file", tensor.file, Self.isPath)
                try check("golden.\(number).\(tensor.name).sha256", tensor.sha256, Self.isSHA256)
                try check("golden.\(number).inputs or outputs", tensor.name, Self.isIdentifier)
                guard tensor.shape.allSatisfy({ $0 >= 0 }) else {
                    throw Fault(place: "golden.\(number).\(tensor.name).shape", reason: "a size is below 0")
                }
                guard Self.product(tensor.shape, atMost: Self.mostNumbers) else {
                    throw Fault(place: "golden.\(number).\(tensor.name).shape", reason: "more than \(Self.mostNumbers) numbers")
                }
            }
        }
        try preprocessing.map(check)
        if let text {
            try check("text.file", text.file, Self.isPath)
            try check("text.sha256", text.sha256, Self.isSHA256)
            guard text.length > 0 else { throw Fault(place: "text.length", reason: "must be greater than 0") }
        }
        if let (place, reason) = audio?.fault { throw Fault(place: place, reason: reason) }
    }

    private func check(_ spec: Preprocessing) throws {
        guard spec.resize.height > 0, spec.resize.width > 0 else {
            throw Fault(place: "preprocessing.resize", reason: "height and width must be greater than 0")
        }
        guard Self.product([spec.resize.height, spec.resize.width], atMost: Self.mostPixels) else {
            throw Fault(place: "preprocessing.resize", reason: "more than \(Self.mostPixels) pixels")
        }
        guard (spec.resize.shorter ?? 1) / Self.mostOverhang <= max(spec.resize.height, spec.resize.width) else {
            throw Fault(place: "preprocessing.resize.shorter", reason: "over \(Self.mostOverhang) times the size of the input")
        }
        guard (spec.resize.shorter ?? 1) > 0, spec.resize.mode != .shorter || spec.resize.shorter != nil else {
            throw Fault(place: "preprocessing.resize.shorter", reason: "must be there, and greater than 0")
        }
        guard 0...255 ~= spec.resize.pad ?? 0 else {
            throw Fault(place: "preprocessing.resize.pad", reason: "must be between 0 and 255")
        }
        guard 0...255 ~= spec.background else {
            throw Fault(place: "preprocessing.background", reason: "\(spec.background) must be between 0 and 255")
        }
        guard spec.std.allSatisfy({ $0 > 0 }) else {
            throw Fault(place: "preprocessing.std", reason: "must be greater than 0")
        }
        for (key, values) in [("mean", spec.mean), ("std", spec.std)] where ![1, spec.channels].contains(values.count) {
            throw Fault(place: "preprocessing.\(key)", reason: "has \(values.count) values for \(spec.channels) channel(s)")
        }
    }

    private func check(_ place: String, _ text: String, _ rule: (String) -> Bool) throws {
        guard rule(text) else { throw Fault(place: place, reason: "\"\(text)\" is not of the right form") }
    }

    // As in the SDK: what a model takes is no larger, and what is would not fit into a phone.
    private static let mostPixels = 1 << 25
    private static let mostOverhang = 8
    private static let mostNumbers = 1 << 31

    /// Whether the product of sizes is no larger than a limit; a product that overflows ends the app.
    static func product(_ sizes: [Int], atMost limit: Int) -> Bool {
        var product = 1
        for size in sizes {
            let (found, overflow) = product.multipliedReportingOverflow(by: size)
            guard !overflow, found <= limit else { return false }
            product = found
        }
        return true
    }

    private static let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    private static let digits = Set("0123456789")

    private static func isSHA256(_ text: String) -> Bool {
        text.count == 64 && text.allSatisfy(Set("0123456789abcdef").contains)
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.first, letters.contains(first) || digits.contains(first) else { return false }
        return text.allSatisfy(letters.union(digits).union("._-").contains)
    }

    private static func isIdentifier(_ text: String) -> Bool {
        guard let first = text.first, !digits.contains(first) else { return false }
        return text.allSatisfy(letters.union(digits).union("_").contains)
    }

    /// No part begins with a dot: a bundle names nothing outside its folder.
    private static func isPath(_ text: String) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { isName(String($0)) }
    }

    /// The place and the reason of what a decoder or a check found.
    private static func explained(_ error: any Error) -> (place: String, reason: String) {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty ? "the text" : path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case let fault as Fault:
            return (fault.place, fault.reason)
        case DecodingError.keyNotFound(let key, let context):
            return (place(context.codingPath + [key]), "is missing")
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
             DecodingError.dataCorrupted(let context):
            return (place(context.codingPath), context.debugDescription)
        default:
            return ("the text", error.localizedDescription)
        }
    }
}

/// A key of an object whose keys are data.
struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ text: String) { stringValue = text }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}
