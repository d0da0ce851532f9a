"""Daily small talk: a remark about something of daily life, answered in one warm sentence, without thinking."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

from composer.mini.korean import object_, subject, topic

HELD_OUT_IN = 5  # one topic in so many is kept for the benchmark


@dataclass(frozen=True, slots=True)
class Talk:
    """A kind of small talk: its remarks and replies about one of its `topics`, and the word a fitting reply holds."""

    topics: tuple[str, ...]
    remarks: tuple[str, ...]
    replies: tuple[str, ...]
    key: str


TALKS: dict[str, Talk] = {
    "food": Talk(
        ("김밥", "비빔밥", "떡볶이", "냉면", "만두", "국수", "김치찌개", "된장국", "불고기", "잡채",
         "삼계탕", "칼국수", "순대", "호떡", "팥죽", "갈비탕", "라면", "우동", "카레", "볶음밥"),
        ("{when} {where} {who} {t:을} 먹었는데 맛있었어.", "{when} {t:을} 만들어 {where} {who} 먹었어.",
         "{when} {where} {who} {t:이} 먹고 싶어."),
        ("{t:은} 맛있는 음식이지요.", "{t:을} 맛있게 드시면 좋겠어요."), "맛있",
    ),
    "weather": Talk(
        ("소나기", "눈", "안개", "바람", "천둥", "이슬비", "우박", "서리", "무더위", "한파",
         "황사", "장마", "태풍", "함박눈", "진눈깨비", "햇볕", "구름", "노을", "무지개", "가랑비"),
        ("{when} {where} {who} 있는데 {t:이} 심했어.", "{when} {where} {who} {t:을} 만났어.",
         "{when} {where} {who} {t} 소식을 들었어."),
        ("{t:은} 조심하는 것이 좋아요.", "{t} 때문에 조심해서 다니세요."), "조심",
    ),
    "hobby": Talk(
        ("등산", "낚시", "독서", "수영", "요리", "뜨개질", "사진", "바둑", "자전거", "기타",
         "노래", "춤", "달리기", "탁구", "그림", "서예", "캠핑", "원예", "영화", "게임"),
        ("{when} {where} {who} {t:을} 시작했어.", "{when} {where} {who} {t:을} 즐겼어.",
         "요즘 {t:이} 취미야. {when} {where} {who} 또 할 거야."),
        ("{t:은} 참 멋진 취미네요.", "{t:을} 하시다니 멋져요."), "멋",
    ),
    "feeling": Talk(
        ("시험", "발표", "면접", "이사", "숙제", "회의", "출장", "청소", "빨래", "운전",
         "공부", "업무", "약속", "여행 준비", "공연", "대회", "과제", "연습", "수업", "검사"),
        ("{when} {where} {who} {t} 때문에 피곤했어.", "{when} {where} {who} {t:을} 하느라 힘들었어.",
         "{when} {where} {who} {t:이} 있어서 걱정이야."),
        ("{t} 때문에 고생이 많으시네요. 힘내세요.", "{t:은} 잘 될 거예요. 힘내세요."), "힘내",
    ),
    "shopping": Talk(
        ("신발", "모자", "가방", "우산", "시계", "책상", "의자", "안경", "장갑", "목도리",
         "컵", "냄비", "이불", "베개", "거울", "화분", "치마", "바지", "양말", "외투"),
        ("{when} {where} {who} {t:을} 샀어.", "{when} {where} {who} {t:을} 고르러 갔어.",
         "{when} {where} {who} 쓸 {t:이} 필요해졌어."),
        ("{t:은} 잘 어울릴 것 같아요.", "어울리는 {t:을} 고르시면 좋겠어요."), "어울",
    ),
}  # fmt: skip
_WHEN = (
    "오늘", "어제", "아까", "지난주에", "아침에", "점심에", "저녁에", "주말에", "방금", "그저께",
    "월요일에", "화요일에", "수요일에", "목요일에", "금요일에", "토요일에", "일요일에",
    "봄에", "여름에", "가을에", "겨울에",
)  # fmt: skip
_WHO = (
    "친구와",
    "동생과",
    "언니와",
    "엄마와",
    "아빠와",
    "할머니와",
    "이웃과",
    "동료와",
    "선배와",
    "후배와",
    "삼촌과",
    "이모와",
)
_WHERE = (
    "집에서",
    "공원에서",
    "시장에서",
    "학교에서",
    "회사에서",
    "바닷가에서",
    "산에서",
    "역에서",
    "거리에서",
    "마당에서",
)
_OPENING = ("", "안녕. ", "있잖아. ", "들어 봐. ", "그런데 말이야. ", "사실은. ", "음. ", "저기. ")


@dataclass(frozen=True, slots=True)
class Chat:
    """One exchange: what is said about `topic`, and a fitting reply."""

    kind: str
    topic: str
    remark: str
    reply: str

    @property
    def held_out(self) -> bool:
        """Whether the topic belongs to the benchmark and never to a pool."""
        return is_held_out(self.topic)

    @property
    def key(self) -> str:
        """The word that a fitting reply of this kind holds."""
        return TALKS[self.kind].key


def is_held_out(topic: str) -> bool:
    """Whether `topic` is kept for the benchmark, by a hash of its name."""
    return hashlib.sha256(topic.encode()).digest()[0] % HELD_OUT_IN == 0


def draw_chat(rng: random.Random) -> Chat:
    """Draws one exchange, held out or not."""
    kind = rng.choice(tuple(TALKS))
    talk = TALKS[kind]
    about = rng.choice(talk.topics)
    remark = rng.choice(_OPENING) + rng.choice(talk.remarks)
    slots = {"when": rng.choice(_WHEN), "who": rng.choice(_WHO), "where": rng.choice(_WHERE)}
    return Chat(kind, about, _fill(remark, about, slots), _fill(rng.choice(talk.replies), about, slots))


def _fill(template: str, about: str, slots: dict[str, str]) -> str:
    """Fills a template; {t:은} is the topic with the particle 은 or 는, and so on."""
    for mark, inflect in (("{t:은}", topic), ("{t:이}", subject), ("{t:을}", object_)):
        template = template.replace(mark, inflect(about))
    return template.replace("{t}", about).format(**slots)
