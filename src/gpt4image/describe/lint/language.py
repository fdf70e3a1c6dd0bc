"""Language: texts in another language than the rest; the text encoder may not know it."""

import re
import unicodedata
from collections import Counter

from gpt4image.describe.lint.finding import Finding, Texts

FUNCTION_WORDS = {
    "English": "the a an of and with in on is at to from by its it that this",
    "German": "der die das ein eine mit und auf ist im dem den von einem einer sich",
    "French": "le la les un une des et avec sur est dans du au qui sont pour",
    "Spanish": "el los las una con y en es del de que por sobre se al su",
    "Italian": "il lo gli uno una con e di del della che nel sulla sono al su",
    "Portuguese": "o os uma um com e em do da que no na por se ao sobre",
    "Dutch": "de het een met en op is van in zijn aan er dat voor die naar",
}
WORDS = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}
FEWEST_HITS = 2
UNKNOWN = "unknown"


def detect_language(text: str) -> str:
    """Language of a Latin text by its function words, otherwise its script; `unknown` for a few words."""
    letters = [letter for letter in text if letter.isalpha()]
    scripts = Counter(unicodedata.name(letter, "?").split()[0] for letter in letters[:400])
    script = scripts.most_common(1)[0][0] if scripts else "LATIN"
    if script != "LATIN":
        return script.capitalize()
    words = re.findall(r"[^\W\d_]+", text.lower())
    hits = {language: sum(word in known for word in words) for language, known in WORDS.items()}
    best = max(hits, key=lambda language: hits[language])
    return best if hits[best] >= FEWEST_HITS else UNKNOWN


def check_language(texts: Texts) -> Finding:
    """Finds the texts that are not in the language of most."""
    languages = [detect_language(row.text) for row in texts.rows]
    counted = Counter(language for language in languages if language != UNKNOWN)
    usual = counted.most_common(1)[0][0] if counted else UNKNOWN
    strays = [(row, found) for row, found in zip(texts.rows, languages, strict=True) if found not in (usual, UNKNOWN)]
    rows = [row for row, _ in strays]
    words = f"{usual}, but {texts.share(rows)} in another language" if rows else f"{usual} throughout"
    remedy = "gpt4image lint WORK --requeue language, and say 'Answer in English.' in the prompt"
    examples = [texts.example(row, f" ({found})") for row, found in strays[:3]]
    return texts.find("language", rows, words, len(rows) > 0.005 * len(texts.rows), remedy, examples)
