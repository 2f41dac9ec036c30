import Foundation

/// A bundle in a folder. Nothing of it is given out before its sha256 was found right.
public struct DroppedBundle: Sendable {
    public let folder: URL
    public let manifest: Manifest

    private static let manifestFile = "manifest.json"
    private static let pointerFile = "bundle.json"

    /// What `edgekit drop` writes beside the bundle's folder.
    private struct Pointer: Decodable {
        let folder: String
        let manifest_sha256: String
    }

    /// Finds the bundle that `edgekit drop` put into a folder of the app's resources; its files are not checked yet.
    public static func dropped(in resources: URL?) throws -> DroppedBundle {
        guard let resources, let data = try? Data(contentsOf: resources.appending(path: pointerFile)) else {
            throw Failure(.noBundle)
        }
        let pointer: Pointer
        do {
            pointer = try JSONDecoder().decode(Pointer.self, from: data)
        } catch {
            throw Failure(.notAManifest, ["file": pointerFile, "reason": "folder and manifest_sha256 cannot be read from it"])
        }
        guard pointer.folder.count == 16, pointer.folder.allSatisfy(\.isHexDigit) else {
            throw Failure(.notAManifest, ["file": pointerFile, "reason": "\"\(pointer.folder)\" is no folder of a bundle"])
        }
        return try read(resources.appending(path: pointer.folder), manifestSHA256: pointer.manifest_sha256)
    }

    /// Reads a bundle as `edgekit build` writes it; its files are not checked yet.
    ///
    /// - Parameter manifestSHA256: What the manifest's digest must be, if somebody knows it.
    public static func read(_ folder: URL, manifestSHA256: String? = nil) throws -> DroppedBundle {
        let text = try bytes(folder, manifestFile)
        if let manifestSHA256 { try check(manifestFile, sha256(text), manifestSHA256) }
        return DroppedBundle(folder: folder, manifest: try Manifest.parse(Data(text), file: manifestFile))
    }

    /// Checks the sha256 of every file that the manifest names.
    public func verify() throws {
        for (path, expected) in manifest.files { try Self.check(path, sha256(Self.bytes(folder, path)), expected) }
    }

    /// Checks the sha256 of one artifact.
    public func verify(_ artifact: Artifact) throws {
        try Self.check(artifact.file, sha256(Self.bytes(folder, artifact.file)), artifact.sha256)
    }

    /// Reads a golden input or output, and checks it on the way.
    public func read(_ golden: GoldenTensor) throws -> Tensor {
        let bytes = try Self.bytes(folder, golden.file)
        try Self.check(golden.file, sha256(bytes), golden.sha256)
        guard let tensor = Tensor(name: golden.name, dtype: golden.dtype, shape: golden.shape, bytes: bytes) else {
            throw Failure(.manifestSchema, [
                "file": Self.manifestFile, "place": golden.file,
                "reason": "it has \(bytes.count) bytes, not \(golden.dtype.rawValue) of shape \(golden.shape)",
            ])
        }
        return tensor
    }

    /// The inputs of a golden row, in the manifest's order.
    public func inputs(_ row: Golden) throws -> [Tensor] {
        try manifest.inputs.map { spec in
            guard let found = row.inputs.first(where: { $0.name == spec.name }) else {
                throw Failure(.manifestSchema, ["file": Self.manifestFile, "place": "golden", "reason": "an input \(spec.name) is missing"])
            }
            return try read(found)
        }
    }

    private static func bytes(_ folder: URL, _ path: String) throws -> [UInt8] {
        guard let data = try? Data(contentsOf: folder.appending(path: path)) else {
            throw Failure(.missingFile, ["file": path])
        }
        return [UInt8](data)
    }

    private static func check(_ path: String, _ found: String, _ expected: String) throws {
        guard found == expected else {
            throw Failure(.wrongSHA256, ["file": path, "found": found, "expected": expected])
        }
    }
}
