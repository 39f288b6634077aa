print("the flights of yesterday")
