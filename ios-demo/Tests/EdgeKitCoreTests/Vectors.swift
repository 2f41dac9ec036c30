import Foundation

@testable import EdgeKitCore

/// `tests/vectors` of the repository, which the tests in Python and Kotlin read, too.
enum Vectors {
    static let folder = URL(filePath: #filePath).appending(path: "../../../../tests/vectors").standardizedFileURL

    static func cases<Case: Decodable>(_ path: String) throws -> [Case] {
        try JSONDecoder().decode([Case].self, from: data(path))
    }

    static func data(_ path: String) throws -> Data { try Data(contentsOf: folder.appending(path: path)) }

    static func floats(_ path: String) throws -> [Float] {
        let bytes = try data(path)
        return bytes.withUnsafeBytes { raw in
            (0..<bytes.count / 4).map { Float(bitPattern: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
        }
    }

    static func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: self.folder.appending(path: folder).path).sorted()
    }
}

/// A file of values with its shape.
struct Values: Decodable {
    let file: String
    let shape: [Int]
}
