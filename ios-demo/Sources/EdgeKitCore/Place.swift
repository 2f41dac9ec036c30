/// Where a picture comes to lie in an input; `edgekit/data/place.py` says how it is computed.
struct Place {
    /// The part of the picture that is resized.
    let kept: (left: Int, top: Int, width: Int, height: Int)
    /// The size that it is resized to.
    let width: Int
    let height: Int
    /// Where it begins in the input; below zero it is cut off.
    let left: Int
    let top: Int
    /// What of the resized picture lies inside of the input.
    let columns: Range<Int>
    let lines: Range<Int>

    init(width: Int, height: Int, _ resize: Preprocessing.Resize) {
        var kept = (left: 0, top: 0, width: width, height: height), size = (resize.width, resize.height)
        switch resize.mode {
        case .stretch: break
        case .cover: kept = Self.covered(width, height, resize)
        case .shorter:
            let least = min(width, height), shorter = resize.shorter ?? 1
            size = (shorter * width / least, shorter * height / least)
        case .letterbox:
            let ratio = min(Double(resize.height) / Double(height), Double(resize.width) / Double(width))
            size = (Self.rounded(Double(width) * ratio), Self.rounded(Double(height) * ratio))
        }
        self.kept = kept
        self.width = max(1, size.0)
        self.height = max(1, size.1)
        left = Self.start(resize.width - self.width)
        top = Self.start(resize.height - self.height)
        columns = max(0, -left)..<min(self.width, resize.width - left)
        lines = max(0, -top)..<min(self.height, resize.height - top)
    }

    /// The largest centred box with the aspect that is wanted.
    private static func covered(
        _ width: Int, _ height: Int, _ resize: Preprocessing.Resize
    ) -> (left: Int, top: Int, width: Int, height: Int) {
        if width * resize.height > height * resize.width {
            let kept = max(1, (2 * height * resize.width + resize.height) / (2 * resize.height))
            return ((width - kept) / 2, 0, kept, height)
        }
        let kept = max(1, (2 * width * resize.height + resize.width) / (2 * resize.width))
        return (0, (height - kept) / 2, width, kept)
    }

    /// Where what is centred begins, of so many free pixels; what is too much is halved, half to even.
    private static func start(_ free: Int) -> Int {
        free >= 0 ? free / 2 : -rounded(Double(-free) / 2)
    }

    private static func rounded(_ value: Double) -> Int { Int(value.rounded(.toNearestOrEven)) }
}
