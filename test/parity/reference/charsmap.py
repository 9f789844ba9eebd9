"""Character maps of SentencePiece, as the tokenizers library follows them: charsmap.py FOLDER."""

import json
import random
import sys
from pathlib import Path

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers.convert_slow_tokenizer import import_protobuf

# What people put into prompts that letter-by-letter tests miss: emoji that are joined, coloured or flags, letters
# with several marks, Hangul in parts, marks of direction.
PIECES = [
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f3f3\ufe0f\u200d\U0001f308",
    "\U0001f44d\U0001f3fd",
    "\u2764\ufe0f",
    "\u2764\ufe0f\u200d\U0001f525",
    "\U0001f1e9\U0001f1ea",
    "\u061c",
    "\u200d",
    "\u200b",
    "\u200f",
    "e\u0301",
    "e\u0301\u0323",
    "\u1100\u1161\u11a8",
    "\u0915\u094d\u0937",
    "\ufb01",
    "\u2460",
    "\uff21",
    "\uff5e",
    "\u00bd",
    "\u2122",
    "\r\n",
    "\t",
    "\u3000",
    "\u00a0",
    "\x01",
    "\x7f",
    "a",
    "Z",
    "9",
    " ",
    "  ",
    "\u03a3",
    "\u4f60",
    "\u0e33",
    "\u0430\u0308",
]


def train(folder: Path) -> bytes:
    """A model with T5's rules (nmt_nfkc), whose words do not matter."""
    words = "a cat sits on the mat photo of lighthouse in storm at sea with red hat".split()
    pick = random.Random(0)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(pick.choices(words, k=9)) for _ in range(500)))
    prefix = folder / "spiece"
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(prefix),
        vocab_size=60,
        normalization_rule_name="nmt_nfkc",
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return prefix.with_suffix(".model").read_bytes()


def main(folder: Path) -> None:
    proto = import_protobuf().ModelProto()
    proto.ParseFromString(train(folder))
    vocabulary = [(piece.piece, piece.score) for piece in proto.pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"))
    # The planes that have characters, and the tags of plane 14.
    codes = [*range(1, 0xD800), *range(0xE000, 0x30000), *range(0xE0000, 0xE0200)]
    characters = [chr(code) for code in codes]
    pick = random.Random(1)
    lines = [f"a{character}b" for character in characters]
    lines += PIECES + ["".join(pick.choices(PIECES, k=8)) for _ in range(5000)]
    normalised = [tokenizer.normalizer.normalize_str(line) for line in lines]
    ids = [tokenizer.encode(line, add_special_tokens=False).ids for line in lines[-5000:]]
    (folder / "expected.json").write_text(
        json.dumps({"lines": lines, "normalised": normalised, "ids": ids})
    )


main(Path(sys.argv[1]))
