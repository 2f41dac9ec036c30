"""How far one computation is from another: metrics, legs and verdict. No torch in here."""
